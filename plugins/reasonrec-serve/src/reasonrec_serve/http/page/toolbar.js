// Undo, redo, sharing, options of the list, and what may be in it.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { ActiveFilters, Filters } from "./filters.js";
import { clearEdits, isEdited, toFragment } from "./request.js";

const SIZES = [5, 10, 20, 50];
const VARIETIES = [[0, "The best items"], [0.3, "Some variety"], [0.6, "A lot of variety"]];

/** What can be done with the request as a whole. */
export function Toolbar({ undo, announce, run }) {
  const { request, change } = undo;
  useShortcuts(undo);
  return html`<div class="toolbar" role="group" aria-label="Changes">
    <button type="button" disabled=${!undo.canUndo} onClick=${undo.undo} title="Ctrl+Z">↶ Undo</button>
    <button type="button" disabled=${!undo.canRedo} onClick=${undo.redo} title="Ctrl+Shift+Z">↷ Redo</button>
    ${isEdited(request) && html`<button type="button" onClick=${() => change(clearEdits(request))}>Clear all changes</button>`}
    <${CopyLink} announce=${announce} key=${toFragment("", request)} />
    <${Options} request=${request} change=${change} />
    <${Filters} request=${request} change=${change} run=${run} />
    <${ActiveFilters} request=${request} change=${change} />
  </div>`;
}

function useShortcuts({ undo, redo }) {
  useEffect(() => {
    const press = (event) => {
      const typing = event.target.closest?.("input, textarea, select");
      if (typing || !(event.ctrlKey || event.metaKey) || event.altKey) return;
      const key = event.key.toLowerCase();
      if (key !== "z" && key !== "y") return;
      event.preventDefault();
      if (key === "y" || event.shiftKey) redo();
      else undo();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [undo, redo]);
}

function CopyLink({ announce }) {
  const [state, setState] = useState("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      setState("copied");
      announce("Link copied.");
    } catch {
      setState("shown"); // an address without https has no clipboard
    }
  };
  if (state === "shown") {
    return html`<label class="link">Link <input readonly value=${location.href} ref=${(field) => field?.select()} /></label>`;
  }
  return html`<button type="button" onClick=${copy}>${state === "copied" ? "✓ Link copied" : "Copy link"}</button>`;
}

function Options({ request, change }) {
  const set = (part) => change({ ...request, ...part });
  const sizes = SIZES.includes(request.k) ? SIZES : [...SIZES, request.k].sort((a, b) => a - b);
  const varieties = VARIETIES.some(([value]) => value === request.diversity)
    ? VARIETIES
    : [...VARIETIES, [request.diversity, `Variety ${request.diversity}`]];
  return html`<details class="options">
    <summary>Options</summary>
    <div>
      <label>How many <select value=${String(request.k)} onChange=${(event) => set({ k: Number(event.target.value) })}>
        ${sizes.map((k) => html`<option key=${k} value=${String(k)} selected=${k === request.k}>${k} items</option>`)}</select></label>
      <label>Which <select value=${String(request.diversity)} onChange=${(event) => set({ diversity: Number(event.target.value) })}>
        ${varieties.map(([value, name]) => html`<option key=${value} value=${String(value)} selected=${value === request.diversity}>${name}</option>`)}</select></label>
      <label class="check"><input type="checkbox" checked=${request.seen} onChange=${(event) => set({ seen: event.target.checked })} />
        Include what they already have</label>
    </div>
  </details>`;
}
