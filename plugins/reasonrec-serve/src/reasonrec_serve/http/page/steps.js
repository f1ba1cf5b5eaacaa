// Why: the steps of the answer, what each rests on, and the labels that can be assumed instead.
import { html, useState } from "./vendor/htm-preact.js";
import { ask } from "./api.js";
import { Picture } from "./catalogue.js";
import { Combobox } from "./combobox.js";
import { wantFocus } from "./focus.js";
import { assume } from "./request.js";
import { capitalise, joinWords, sayPercent, saySource } from "./words.js";

const PARTS = [
  ["observe", "What it looked at", ""],
  ["infer", "What they seem to be looking for", "Choose a label to assume it; the list follows."],
  ["propose", "What each clue suggests", "Each clue proposes an item, with the chance it gives that item."],
  ["weigh", "How much each clue counts", ""],
  ["decide", "The decision", ""],
];
const OFFERED = 6; // labels of a field that are offered before one looks for another

/** The steps by kind; `light(places)` makes entries of the history stand out. */
export function Steps({ steps, history, request, change, editable, fields, light, items }) {
  const known = new Map(fields.map((field) => [field.field, field]));
  return html`<section class="steps" aria-labelledby="steps-head">
    <h2 id="steps-head">Why this list</h2>
    <ol>${PARTS.map(([kind, head, hint]) => {
      const found = steps.filter((step) => step.kind === kind);
      return found.length > 0 && html`<li key=${kind} class=${`part ${kind}`}>
        <h3>${head}</h3>
        ${(kind !== "infer" || editable) && hint && html`<p class="hint">${hint} ${names(found)}</p>`}
        <ul>${found.map((step) => html`<${StepLine} key=${step.about?.[0] ?? step.claim} step=${step} history=${history}
          request=${request} change=${change} field=${editable ? known.get(step.about?.[0]) : undefined} light=${light}
          items=${items} />`)}</ul>
      </li>`;
    })}</ol>
  </section>`;
}

/** Labels that name a group by one of its items are explained. */
const names = (steps) =>
  steps.some((step) => step.about?.[1].startsWith("like ")) ? "“like …” means items similar to the one named." : "";

function StepLine({ step, history, request, change, field, light, items }) {
  const places = step.evidence.filter((each) => Number.isInteger(each) && history[each]);
  const sources = step.evidence.filter((each) => typeof each === "string");
  const show = () => light(places);
  const hide = () => light([]);
  return html`<li class=${`step ${step.edited ? "edited" : ""}`} onMouseEnter=${show} onMouseLeave=${hide}
    onfocusin=${show} onfocusout=${hide}>
    <p>${capitalise(step.claim)}.</p>
    ${(places.length > 0 || sources.length > 0) && html`<div class="evidence">
      <span>From</span>
      ${places.length > 0 && html`<button type="button" class="thumbs" onClick=${show}
        aria-label=${`Show in the history: ${joinWords(places.map((at) => history[at][1]))}`}>
        ${places.slice(0, 8).map((at) => html`<${Picture} key=${at} id=${history[at][0]} title=${history[at][1]}
          info=${items(history[at][0])} size=${64} />`)}
        ${places.length > 8 && html`<small>and ${places.length - 8} more</small>`}
      </button>`}
      ${sources.length > 0 && html`<span>${joinWords(sources.map(saySource))}</span>`}
    </div>`}
    ${field && html`<${Labels} field=${field} step=${step} request=${request} change=${change} />`}
  </li>`;
}

/** Labels of a field, each of which can be assumed. */
function Labels({ field, step, request, change }) {
  const assumed = request.assume[field.field];
  const offered = step
    ? [[step.about[1], step.edited ? null : step.weight], ...step.alternatives]
    : field.labels.slice(0, OFFERED).map((label) => [label, null]);
  const labels = new Map(offered.filter(([label]) => label !== assumed));
  const name = (label) => `${field.field}=${label}`;
  const take = (label) => {
    wantFocus(name(label ?? assumed));
    change(assume(request, field.field, label));
  };
  return html`<div class="labels" role="group" aria-label=${`Assume: ${field.field.replaceAll("_", " ")}`}>
    ${assumed !== undefined && html`<button type="button" class="label" aria-pressed="true" data-focus=${name(assumed)}
      onClick=${() => take(null)}>
      ${assumed} <span aria-hidden="true">×</span></button>`}
    ${[...labels].map(([label, share]) => html`<button type="button" key=${label} class="label" aria-pressed="false"
      data-focus=${name(label)} onClick=${() => take(label)}>${label} ${share !== null && html`<small>${sayPercent(share)}</small>`}</button>`)}
    ${field.count > labels.size + (assumed === undefined ? 0 : 1) && html`<${OtherLabel} field=${field} take=${take} />`}
  </div>`;
}

function OtherLabel({ field, take }) {
  const [open, setOpen] = useState(false);
  const find = async (words, signal) => {
    const query = new URLSearchParams({ field: field.field, q: words, limit: 20 });
    return (await ask(`/v1/labels?${query}`, { signal })).labels.map((id) => ({ id }));
  };
  if (!open) return html`<button type="button" class="label other" onClick=${() => setOpen(true)}>Another…</button>`;
  return html`<${Combobox} name=${`label-${field.field.replace(/\W/g, "_")}`} label=${`Another ${field.field.replaceAll("_", " ")}`}
    find=${find} show=${({ id }) => id} choose=${(id) => { setOpen(false); take(id); }} />`;
}

/** What can be assumed where no steps are shown: somebody else answered. */
export function Assumptions({ fields, request, change }) {
  return html`<section class="steps" aria-labelledby="assume-head">
    <h2 id="assume-head">Make an assumption</h2>
    <p class="hint">The model that reasons in steps then answers and shows its steps.</p>
    <ul>${fields.map((field) => html`<li key=${field.field} class="step">
      <h3>${capitalise(field.field.replaceAll("_", " "))}</h3>
      <${Labels} field=${field} request=${request} change=${change} />
    </li>`)}</ul>
  </section>`;
}
