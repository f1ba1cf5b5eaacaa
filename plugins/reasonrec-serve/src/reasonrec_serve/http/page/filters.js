// What may be recommended: conditions on fields of items, items that are left out, items that alone are allowed.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { ask } from "./api.js";
import { findItems, showItem, useItems } from "./catalogue.js";
import { Combobox } from "./combobox.js";
import { allowOnly, clearFilters, countFilters, setCondition, toggleExcluded } from "./request.js";
import { capitalise, sayCondition, sayCount, sayField } from "./words.js";

/** Everything that narrows the list, behind one button. */
export function Filters({ request, change, run }) {
  const count = countFilters(request);
  return html`<details class="options filters">
    <summary>${count ? `Filters (${count})` : "Filters"}</summary>
    <div>
      ${run?.filters.length > 0 && html`<${AddCondition} request=${request} change=${change} filters=${run.filters} />`}
      <${Combobox} name="exclude" label="Leave an item out" find=${findItems} show=${showItem}
        choose=${(id) => request.exclude.includes(id) || change(toggleExcluded(request, id))} />
      <${AllowOnly} request=${request} change=${change} />
    </div>
  </details>`;
}

/** A field, and what it must be: values where it holds words, two ends where it holds numbers or days. */
function AddCondition({ request, change, filters }) {
  const [name, setName] = useState(filters[0].field);
  const { kind } = filters.find(({ field }) => field === name) ?? filters[0];
  const condition = request.where[name];
  const Control = kind === "text" ? Values : Range;
  return html`<div class="condition">
    <label>Only items whose <select value=${name} onChange=${(event) => setName(event.target.value)}>
      ${filters.map(({ field }) => html`<option key=${field} value=${field} selected=${field === name}>${sayField(field)}</option>`)}</select></label>
    <${Control} key=${name} name=${name} kind=${kind} condition=${condition}
      set=${(next) => change(setCondition(request, name, next))} />
  </div>`;
}

function Values({ name, condition, set }) {
  const chosen = Array.isArray(condition) ? condition : [];
  const find = async (words, signal) => {
    const { values } = await ask(`/v1/values?${new URLSearchParams({ field: name, q: words, limit: 20 })}`, { signal });
    return values.map(({ value, items }) => ({ id: value, items })).filter(({ id }) => !chosen.includes(id));
  };
  return html`<${Combobox} name="value" label=${chosen.length ? "is one of these, or" : "is"} find=${find}
    show=${({ id, items }) => html`<b>${id}</b> <small>${sayCount(items, "item")}</small>`}
    choose=${(id) => set([...chosen, id])} />`;
}

function Range({ kind, condition, set }) {
  const { min = "", max = "" } = condition ?? {};
  const [ends, setEnds] = useState({ min, max });
  useEffect(() => setEnds({ min, max }), [min, max]); // undone, or removed elsewhere
  const apply = (event) => {
    event.preventDefault();
    const given = Object.fromEntries(Object.entries(ends).filter(([, value]) => value !== ""));
    set(Object.keys(given).length ? given : undefined);
  };
  const field = (end, label) => html`<label>${label} <input type=${kind === "time" ? "date" : "number"} step="any"
    value=${ends[end]} onInput=${(event) => setEnds({ ...ends, [end]: event.target.value })} /></label>`;
  return html`<form class="range" onSubmit=${apply}>
    ${field("min", "is at least")}${field("max", "and at most")}
    <button type="submit">Apply</button>
  </form>`;
}

function AllowOnly({ request, change }) {
  const [text, setText] = useState("");
  const allow = (event) => {
    event.preventDefault();
    change(allowOnly(request, text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean)));
    setText("");
  };
  return html`<details class="paste">
    <summary>Allow only a list of items</summary>
    <form onSubmit=${allow}>
      <label for="only">Item ids, one per line (such as what is in stock)</label>
      <textarea id="only" rows="4" spellcheck=${false} value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
      <button type="submit" class="main">Allow only these</button>
    </form>
  </details>`;
}

/** The filters that hold, each with a way out. */
export function ActiveFilters({ request, change }) {
  const items = useItems(request.exclude);
  const chips = [
    ...Object.entries(request.where).map(([name, condition]) => [
      sayCondition(name, condition), () => setCondition(request, name, undefined)]),
    ...request.exclude.map((id) => [`Not ${items(id)?.title ?? id}`, () => toggleExcluded(request, id)]),
    ...(request.only ? [[`Only ${sayCount(request.only.length, "listed item")}`, () => allowOnly(request, [])]] : []),
  ];
  if (!chips.length) return null;
  return html`<div class="labels active" role="group" aria-label="Filters">
    ${chips.map(([text, without]) => html`<button type="button" key=${text} class="label" aria-label=${`Remove the filter: ${text}`}
      onClick=${() => change(without())}>${capitalise(text)} <span aria-hidden="true">×</span></button>`)}
    ${chips.length > 1 && html`<button type="button" class="label other" onClick=${() => change(clearFilters(request))}>Remove all filters</button>`}
  </div>`;
}
