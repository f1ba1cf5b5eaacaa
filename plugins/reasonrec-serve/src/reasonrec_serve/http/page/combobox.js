// A field that proposes while one types: the combobox with a listbox of the ARIA Authoring Practices.
import { html, useEffect, useRef, useState } from "./vendor/htm-preact.js";
import { useLoaded } from "./loading.js";
import { sayCount } from "./words.js";

const PAUSE = 150; // milliseconds of no typing before it is asked

/**
 * `find(words, signal)` gives options `{id, ...}`; `show(option)` draws one; `choose(id)` takes one.
 * `addTyped(text)` makes an option of what was typed, which comes last; without it only what is found can be chosen.
 */
export function Combobox({ name, label, hint, placeholder = "", find, show, choose, addTyped }) {
  const [text, setText] = useState("");
  const [words, setWords] = useState(null); // null: closed
  const [eager, setEager] = useState(false); // Enter came before the proposals for what was typed
  const [pointed, setPointed] = useState(null); // the id of the option that the arrows are at; more may come in meanwhile
  const list = useRef(null);
  const { value, busy } = useLoaded(words === null ? null : `${name} ${words}`, (signal) => find(words, signal));
  const options = words === null ? [] : [...(value ?? [])];
  const typed = text.trim();
  const fresh = words === text && !busy; // only then is it known that what was typed is not among what is found
  if (fresh && addTyped && typed && !options.some(({ id }) => id === typed)) options.push(addTyped(typed));
  const at = options.findIndex(({ id }) => id === pointed);
  const open = words !== null && (options.length > 0 || (words !== "" && !busy));

  useEffect(() => {
    if (words === null || text === words) return undefined;
    const timer = setTimeout(() => setWords(text), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" }), [at]);

  const point = (place) => setPointed(options.length ? options[place % options.length].id : null);
  const close = () => {
    setWords(null);
    setPointed(null);
  };
  const take = (id) => {
    setText("");
    close();
    choose(id);
  };
  const keys = {
    ArrowDown: () => (open ? point(at + 1) : setWords(text)),
    ArrowUp: () => open && point((at <= 0 ? options.length : at) - 1),
    Enter: () => {
      if (options[at]) take(options[at].id);
      else if (fresh && options.length) take(options[0].id);
      else if (addTyped && typed) take(typed); // typed faster than proposals come
      else if (!fresh && typed) {
        setWords(text);
        setEager(true);
      }
    },
    Escape: () => (open ? close() : setText("")),
  };
  useEffect(() => {
    if (!eager || !fresh) return;
    setEager(false);
    if (options.length) take(options[0].id);
  }, [eager, fresh]);
  const press = (event) => {
    const act = event.isComposing ? undefined : keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const input = (event) => {
    setText(event.target.value);
    setPointed(null);
    setEager(false);
    if (words === null) setWords(event.target.value);
  };
  return html`<div class="combobox" onfocusout=${(event) => event.currentTarget.contains(event.relatedTarget) || close()}>
    <label for=${name}>${label}</label>
    <input id=${name} type="text" role="combobox" autocomplete="off" autocapitalize="none" spellcheck=${false}
      aria-autocomplete="list" aria-expanded=${open ? "true" : "false"} aria-controls="${name}-list"
      aria-activedescendant=${open && at >= 0 ? `${name}-${at}` : undefined}
      aria-describedby=${hint ? `${name}-hint` : undefined}
      placeholder=${placeholder} value=${text} onInput=${input} onKeyDown=${press} onClick=${() => setWords(text)} />
    ${hint && html`<p class="hint" id="${name}-hint">${hint}</p>`}
    <ul id="${name}-list" role="listbox" aria-label=${label} ref=${list} hidden=${!open || !options.length}>
      ${options.map((option, place) => html`<li key=${option.id} id="${name}-${place}" role="option"
        aria-selected=${place === at ? "true" : "false"} onMouseDown=${(event) => event.preventDefault()}
        onClick=${() => take(option.id)}>${show(option)}</li>`)}
    </ul>
    ${open && !options.length && html`<p class="none">No matches.</p>`}
    <span class="unseen" role="status">${open ? sayCount(options.length, "suggestion") : ""}</span>
  </div>`;
}
