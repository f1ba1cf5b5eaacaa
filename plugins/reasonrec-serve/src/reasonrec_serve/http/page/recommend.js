// The first view: a person, their list, why it is so, and what changes it.
import { html, useContext, useEffect, useMemo, useRef, useState } from "./vendor/htm-preact.js";
import { Abstained, Chance, Notes, WhoAnswered } from "./answer.js";
import { ask } from "./api.js";
import { Picture, useItems } from "./catalogue.js";
import { useWantedFocus } from "./focus.js";
import { Server, useLoaded } from "./loading.js";
import { compareLists } from "./moves.js";
import { ChoosePerson, History } from "./person.js";
import { LeftItems, Ranking, Strip } from "./ranking.js";
import { EMPTY, askHistory, askUser, assume, hasPerson, isAsked, isSamePerson, toBody, toFragment } from "./request.js";
import { Assumptions, Steps } from "./steps.js";
import { Toolbar } from "./toolbar.js";
import { ProblemBox } from "./trouble.js";
import { sayCount, sayMoves } from "./words.js";

export function Recommend({ run, undo }) {
  const { request, change } = undo;
  const { announce } = useContext(Server);
  useWantedFocus();
  const key = isAsked(request) ? toFragment("", request) : null;
  const loaded = useLoaded(key, async (signal) => ({
    request,
    answer: await ask("/v1/recommend", { body: toBody(request), signal }),
  }));
  const { answer, moves, key: answered } = useMoves(loaded, announce);
  const [places, setLit] = useState([]); // of the history, that stand out
  const lit = useMemo(() => new Set(places), [places]);
  const past = answer && isAsked(request) ? answer.history : [];
  const entries = useMemo(() => listEntries(request, past, answered === key), [request, past, answered === key]);
  const ids = [...(answer?.items ?? []), ...(moves?.left ?? [])].map((item) => item.id);
  const items = useItems([...new Set([...ids, ...entries.map((entry) => entry.id)])]);
  const editable = Boolean(run?.editable) && request.words === null;
  const lightIds = (wanted) => setLit(past.flatMap(([id], at) => (wanted.includes(id) ? [at] : [])));
  const shared = { request, change, editable, items, fields: run?.fields ?? [] };

  return html`<div class="columns">
    <div class="aside">
      <${ChoosePerson} request=${request} change=${change} run=${run} />
      ${hasPerson(request) && answer && html`<${Assumed} request=${request} change=${change} />
        <${History} ...${shared} entries=${entries} lit=${lit}
          name=${request.history === null ? request.user : null} />`}
    </div>
    <div class="list" aria-busy=${loaded.busy ? "true" : "false"}>
      ${!isAsked(request) && html`<${Welcome} run=${run} change=${change} />`}
      ${isAsked(request) && html`<${Toolbar} undo=${undo} announce=${announce} run=${run} />`}
      <${ProblemBox} problem=${loaded.problem} />
      ${isAsked(request) && answer && html`<${Answer} ...${shared} answer=${answer} moves=${moves} run=${run} past=${past}
        undo=${undo.undo} setLit=${setLit} lightIds=${lightIds} />`}
    </div>
  </div>`;
}

function Answer({ answer, moves, run, past, undo, setLit, lightIds, ...shared }) {
  const { request, items, editable, fields } = shared;
  const words = request.words !== null && html`“${request.words}”`;
  const person = request.user === null ? "these items" : html`<span class="id">${request.user}</span>`;
  const head = hasPerson(request) ? html`For ${person}${words && html`, ${words}`}` : html`For ${words}`;
  if (answer.route === "abstain") {
    return html`<h2 class="head">${head}</h2><${Notes} answer=${answer} />
      <${Abstained} answer=${answer} run=${run} link=${toFragment("compare", request)} />`;
  }
  return html`
    <h2 class="head">${head}</h2>
    <div class="panel told"><${WhoAnswered} answer=${answer} run=${run} /><${Chance} answer=${answer} /></div>
    <${Notes} answer=${answer} />
    ${moves && html`<p class="changed">${sayMoves(moves, [])}</p>`}
    <${Ranking} items=${answer.items} moves=${moves} info=${items} light=${lightIds} />
    <${LeftItems} moves=${moves} info=${items} />
    ${answer.steps.length > 0 && html`<${Steps} ...${shared} steps=${answer.steps} history=${past} light=${setLit} />`}
    ${!answer.steps.length && editable && fields.length > 0 && html`<${Assumptions} ...${shared} />`}
    <${Strip} items=${answer.items} moves=${moves} info=${items} undo=${undo} />`;
}

/** What is assumed, each with a way out. */
function Assumed({ request, change }) {
  const labels = Object.entries(request.assume);
  if (!labels.length) return null;
  return html`<section class="panel" aria-labelledby="assumed-head">
    <h2 id="assumed-head">Assumptions</h2>
    <div class="labels">${labels.map(([field, label]) => html`<button type="button" key=${field} class="label"
      aria-pressed="true" aria-label=${`Stop assuming ${field}: ${label}`} onClick=${() => change(assume(request, field, null))}>
      <small>${field.replaceAll("_", " ")}</small> ${label} <span aria-hidden="true">×</span></button>`)}</div>
  </section>`;
}

function Welcome({ run, change }) {
  const users = useLoaded("some users", async (signal) => (await ask("/v1/users?limit=6", { signal })).users).value ?? [];
  const items = useLoaded("some items", async (signal) => (await ask("/v1/items?limit=12", { signal })).items).value ?? [];
  return html`<section class="panel welcome" aria-labelledby="welcome-head">
    <h2 id="welcome-head">What will they choose next, and why?</h2>
    <ol>
      <li><b>Choose a person</b>, or name a few items. You get a list, the chance that it is right, and the reasons.</li>
      <li><b>Look at the steps.</b> Each one shows the items it is based on.</li>
      <li><b>Change the steps.</b> Ignore an item or assume a label, and watch the list change.</li>
    </ol>
    ${users.length > 0 && html`<h3>Start with a person</h3><div class="labels">
      ${users.map(({ id }) => html`<button type="button" key=${id} class="label" onClick=${() => change(askUser(EMPTY, id))}>${id}</button>`)}
    </div>`}
    ${items.length > 0 && html`<h3>Or with an item that someone new likes</h3><ul class="offers">
      ${items.map((item) => html`<li key=${item.id}><button type="button" onClick=${() => change(askHistory(EMPTY, [item.id]))}>
        <${Picture} id=${item.id} title=${item.title} info=${item} /> <span>${item.title}</span></button></li>`)}
    </ul>`}
    ${run && html`<p class="hint">Learned from ${sayCount(run.dataset.interactions, "choice")} by
      ${` ${sayCount(run.dataset.users, "person", "people")}`} among ${sayCount(run.dataset.items, "item")}.</p>`}
  </section>`;
}

/** The answer that is shown, and how its list differs from the one before; says so aloud. */
function useMoves(loaded, announce) {
  const shown = useRef({ key: null, now: null, before: null });
  const { key, value } = loaded;
  if (value && value !== shown.current.now) {
    const last = shown.current;
    const before = key === last.key ? last.before : last.now;
    shown.current = { key, now: value, before };
  }
  const { now, before } = shown.current;
  const moves = useMemo(() => {
    const lists = now && before && isSamePerson(before.request, now.request);
    return lists ? compareLists(before.answer.items, now.answer.items) : null;
  }, [now, before]);
  useEffect(() => {
    if (!now) return;
    const { route, items } = now.answer;
    if (route === "abstain") announce("No list is shown.");
    else announce(moves ? sayMoves(moves, items) : `${items.length} items. First is ${items[0]?.title ?? "none"}.`);
  }, [now]);
  return { answer: now?.answer ?? null, moves, key: shown.current.key };
}

/**
 * The history newest first; ids of a list that the catalogue does not have stand among the others.
 * `fresh`: whether `past` is the answer to this very request; which ids are unknown is not known before.
 */
function listEntries(request, past, fresh) {
  const ids = request.history ?? past.map(([id]) => id);
  const titles = new Map(past);
  let at = -1;
  return ids
    .map((id, place) => {
      const known = titles.has(id);
      at += known ? 1 : 0;
      const unknown = fresh && !known;
      return { id, title: titles.get(id) ?? id, at: fresh && known ? at : -1, unknown, place, others: ids.filter((_, other) => other !== place) };
    })
    .reverse();
}
