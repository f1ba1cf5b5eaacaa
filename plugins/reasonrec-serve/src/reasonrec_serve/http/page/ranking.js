// The list, and what became of it since the request before.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/htm-preact.js";
import { Picture, sayFields } from "./catalogue.js";
import { capitalise, joinWords, sayCount } from "./words.js";

const SLOW = 350; // milliseconds in which an item moves to its new place
const NAMED = 3;
const BELOW = "-35% 0px 1000000px 0px"; // all below the uppermost third: a list that ends above it is out of sight

const SIGNS = {
  entered: () => ({ sign: "New", said: "entered the list" }),
  up: (places) => ({ sign: `▲ ${places}`, said: `up by ${places}` }),
  down: (places) => ({ sign: `▼ ${places}`, said: `down by ${places}` }),
};

const MARKS = { entered: "+", up: "▲", down: "▼", same: "" };

/** Items as cards, best first. `moves` is null where there is nothing to compare with. */
export function Ranking({ items, moves, info, light }) {
  const list = useRef(null);
  useMovement(list, items);
  return html`<ol class="ranking" tabindex="-1" aria-label="The list" ref=${list}>
    ${items.map((item, at) => html`<${Card} key=${item.id} item=${item} rank=${at + 1} move=${moves?.by.get(item.id)}
      info=${info} light=${light} />`)}
  </ol>`;
}

function Card({ item, rank, move, info, light }) {
  const { sign, said } = SIGNS[move?.kind]?.(move.places) ?? {};
  const reasons = item.because ?? [];
  const causes = reasons.filter((cause) => cause.id); // the others are words
  const byWords = causes.length < reasons.length;
  const show = () => light(causes.map((cause) => cause.id));
  const hide = () => light([]);
  return html`<li class="card" data-id=${item.id} onMouseEnter=${show} onMouseLeave=${hide}>
    <div class="frame">
      <${Picture} id=${item.id} title=${item.title} info=${info(item.id)} />
      <span class="rank"><span class="unseen">Place </span>${rank}</span>
      ${sign && html`<span class=${`move ${move.kind}`}><span aria-hidden="true">${sign}</span><span class="unseen">${said}</span></span>`}
    </div>
    <h3 class="title">${item.title}</h3>
    <p class="fields">${sayFields(info(item.id)) || item.id}</p>
    ${causes.length > 0 && !byWords && html`<${Causes} causes=${causes} info=${info} show=${show} hide=${hide} />`}
    ${(byWords || !causes.length) && item.why && html`<p class="fields">${capitalise(item.why)}</p>`}
  </li>`;
}

/** What an item is recommended for: pictures where there are any, else titles. */
function Causes({ causes, info, show, hide }) {
  const first = causes.slice(0, NAMED);
  const others = causes.length > NAMED ? " and others" : "";
  const words = `Because of ${joinWords(first.map((cause) => cause.title))}${others}`;
  const seen = first.some((cause) => info(cause.id)?.image);
  return html`<button type="button" class="causes" aria-label=${words} title=${words} onFocus=${show} onBlur=${hide} onClick=${show}>
    ${seen
      ? html`<span>Because of</span> ${first.map((cause) => html`<${Picture} key=${cause.id} id=${cause.id}
          title=${cause.title} info=${info(cause.id)} size=${64} />`)}`
      : words}
  </button>`;
}

/** While the list is out of sight, what a change did to it: below everything, with the way back to it. */
export function Strip({ items, moves, info, undo }) {
  const [away, setAway] = useState(false);
  useEffect(() => {
    const look = new IntersectionObserver(([entry]) => setAway(!entry.isIntersecting), { rootMargin: BELOW });
    look.observe(document.querySelector(".ranking"));
    return () => look.disconnect();
  }, []);
  if (!away || !moves) return null;
  const back = () => {
    const list = document.querySelector(".ranking");
    list.focus({ preventScroll: true });
    list.scrollIntoView({ block: "start" });
  };
  return html`<aside class="strip" aria-label="The list as it is now">
    <ol aria-hidden="true">${items.slice(0, 8).map((item) => html`<li key=${item.id} title=${item.title}>
      <${Picture} id=${item.id} title=${item.title} info=${info(item.id)} size=${64} />
      <i class=${moves.by.get(item.id).kind}>${MARKS[moves.by.get(item.id).kind]}</i>
    </li>`)}</ol>
    <button type="button" onClick=${undo}>Undo</button>
    <button type="button" class="main" onClick=${back}>See the list</button>
  </aside>`;
}

/** Items that were in the list before and are no longer. */
export function LeftItems({ moves, info }) {
  if (!moves?.left.length) return null;
  return html`<section class="left" aria-labelledby="left-head">
    <h3 id="left-head">${sayCount(moves.left.length, "item")} left the list</h3>
    <ul>${moves.left.map((item) => html`<li key=${item.id}>
      <${Picture} id=${item.id} title=${item.title} info=${info(item.id)} size=${64} /> <span>${item.title}</span>
    </li>`)}</ul>
  </section>`;
}

/** Lets what stays glide from where it was, unless the reader wants no motion. */
function useMovement(list, items) {
  const places = useRef(new Map());
  const order = items.map((item) => item.id).join("\n");
  useLayoutEffect(() => {
    const before = places.current;
    places.current = new Map();
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    for (const card of list.current.children) {
      const id = card.dataset.id;
      const { offsetLeft: x, offsetTop: y } = card;
      places.current.set(id, { x, y });
      if (still || !before.size) continue;
      const old = before.get(id);
      if (!old) card.animate([{ opacity: 0 }, { opacity: 1 }], { duration: SLOW });
      else if (old.x !== x || old.y !== y) {
        const from = `translate(${old.x - x}px, ${old.y - y}px)`;
        card.animate([{ transform: from }, { transform: "none" }], { duration: SLOW, easing: "ease-out" });
      }
    }
  }, [order]);
}
