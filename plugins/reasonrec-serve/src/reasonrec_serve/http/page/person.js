// Who is asked for: a person by their id, or a list of items; and what they took, each of which can be ignored.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { ask } from "./api.js";
import { Picture, findItems, showItem } from "./catalogue.js";
import { Combobox } from "./combobox.js";
import { LONGEST_WORDS, askHistory, askUser, askWords, hasPerson, setHistory, toggleIgnored } from "./request.js";
import { sayCount } from "./words.js";

const SHOWN = 24; // items of a history, unless more are wanted
const FOUND = 8;

const findUsers = async (words, signal) =>
  (await ask(`/v1/users?${new URLSearchParams({ q: words, limit: FOUND })}`, { signal })).users;
const showUser = ({ id, history, isNew }) =>
  html`<b>${id}</b> <small>${isNew ? "someone new" : sayCount(history, "item")}</small>`;

/** Chooses whom the list is for. */
export function ChoosePerson({ request, change, run }) {
  const [byItems, setByItems] = useState(request.user === null && request.history !== null);
  const people = run ? `${run.dataset.users.toLocaleString("en")} people are known.` : "";
  return html`<section class="panel choose" aria-labelledby="choose-head">
    <h2 id="choose-head">Recommend for</h2>
    <div class="switch" role="group" aria-label="Recommend for">
      <button type="button" aria-pressed=${byItems ? "false" : "true"} onClick=${() => setByItems(false)}>A person</button>
      <button type="button" aria-pressed=${byItems ? "true" : "false"} onClick=${() => setByItems(true)}>A list of items</button>
    </div>
    ${byItems
      ? html`<${ChooseItems} request=${request} change=${change} />`
      : html`<${Combobox} name="person" label="Person’s id" hint=${`${people} Type the start of an id.`}
          find=${findUsers} show=${showUser} choose=${(id) => change(askUser(request, id))}
          addTyped=${(id) => ({ id, isNew: true })} />`}
    ${run?.reads_words && html`<${Words} request=${request} change=${change} key=${request.words ?? ""} model=${run.reads_words} />`}
  </section>`;
}

/** What is wanted, in words, where a model of the run reads them: alone, or beside a person or items. */
function Words({ request, change, model }) {
  const [text, setText] = useState(request.words ?? "");
  const find = (event) => {
    event.preventDefault();
    change(askWords(request, text.trim()));
  };
  const asked = request.words !== null;
  return html`<form class="words" onSubmit=${find}>
    <label for="words">In words</label>
    <input id="words" type="search" maxlength=${LONGEST_WORDS} autocomplete="off" aria-describedby="words-hint" value=${text}
      onInput=${(event) => setText(event.target.value)} />
    <p class="hint" id="words-hint">${model} finds items by what they are called, for example “wedding gift”.</p>
    <button type="submit" class="main" disabled=${!text.trim()}>Find</button>
    ${asked && html` <button type="button" onClick=${() => change(askWords(request, ""))}>Without words</button>`}
    ${asked && hasPerson(request) && html`<label class="weight">How much the words count: ${Math.round(100 * request.weight)} %
      <input type="range" min="0" max="1" step="0.1" value=${String(request.weight)}
        onChange=${(event) => change({ ...request, weight: Number(event.target.value) })} /></label>`}
  </form>`;
}

function ChooseItems({ request, change }) {
  const [text, setText] = useState("");
  const items = request.user === null ? (request.history ?? []) : [];
  const paste = (event) => {
    event.preventDefault();
    change(askHistory(request, text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean)));
  };
  return html`
    <${Combobox} name="item" label="Add an item" hint="Search by title or id. Add the oldest item first."
      find=${findItems} show=${showItem} choose=${(id) => change(askHistory(request, [...items, id]))} />
    <details class="paste">
      <summary>Paste ids</summary>
      <form onSubmit=${paste}>
        <label for="ids">Item ids, one per line, oldest first</label>
        <textarea id="ids" rows="5" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
        <button type="submit" class="main">Use these</button>
      </form>
    </details>`;
}

/**
 * What the list rests on, newest first.
 * `entries`: {id, title, at, unknown}; `at` is the place in the answer's history, by which steps cite it.
 */
export function History({ entries, request, change, items, lit, editable, name }) {
  const [all, setAll] = useState(false);
  const shown = all ? entries : entries.slice(0, SHOWN);
  const more = entries.length - shown.length;
  const box = useRef(null);
  useEffect(() => bringIntoView(box.current), [lit]);
  const hint = editable
    ? "Click × to ignore an item."
    : "Click × to remove an item.";
  return html`<section class="panel rest" aria-labelledby="history-head" ref=${box}>
    <h2 id="history-head">${name === null ? "These items" : html`What <span class="id">${name}</span> took`}</h2>
    ${entries.length
      ? html`<p class="hint">${sayCount(entries.length, "item")}, newest first. ${hint}</p>`
      : html`<p class="hint">Nothing is known.</p>`}
    <ul class="history">
      ${shown.map((entry) => html`<${Entry} key=${`${entry.id} ${entry.place}`} entry=${entry} request=${request}
        change=${change} info=${items(entry.id)} lit=${lit.has(entry.at)} editable=${editable} />`)}
    </ul>
    ${more > 0 && html`<button type="button" onClick=${() => setAll(true)}>Show ${more} more</button>`}
  </section>`;
}

/** Scrolls the history, never the page, to the first entry that stands out. */
function bringIntoView(box) {
  const entry = box.querySelector(".lit");
  if (!entry) return;
  const list = entry.parentElement;
  if (list.scrollWidth > list.clientWidth) list.scrollLeft = entry.offsetLeft - list.offsetLeft - 8;
  else if (box.scrollHeight > box.clientHeight) {
    const [top, bottom] = [entry.offsetTop - 8, entry.offsetTop + entry.offsetHeight + 8];
    box.scrollTop = Math.min(top, Math.max(box.scrollTop, bottom - box.clientHeight));
  }
}

function Entry({ entry, request, change, info, lit, editable }) {
  const { id, title, unknown } = entry;
  const ignored = request.ignore.includes(id);
  const remove = () => change(setHistory(request, entry.others));
  const act = editable && !unknown ? () => change(toggleIgnored(request, id)) : remove;
  const word = ignored ? "Count again" : editable && !unknown ? "Ignore" : "Remove";
  const state = unknown ? "not in the catalogue" : ignored ? "ignored" : "";
  return html`<li class=${`entry ${ignored || unknown ? "off" : ""} ${lit ? "lit" : ""}`}>
    <${Picture} id=${id} title=${title} info=${unknown ? null : info} size=${128} />
    <span class="title">${title}${state && html` <small>${state}</small>`}</span>
    ${lit && html`<span class="unseen">counts for the selected step</span>`}
    <button type="button" class="icon" aria-pressed=${editable && !unknown ? (ignored ? "true" : "false") : undefined}
      aria-label=${`${word}: ${title}`} title=${word} onClick=${act}>${ignored ? "↺" : "×"}</button>
  </li>`;
}
