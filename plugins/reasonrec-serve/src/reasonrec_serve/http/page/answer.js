// What stands above the list: who answered and why, how sure that is, and what has to be said of it.
import { html } from "./vendor/htm-preact.js";
import { capitalise, sayChance, sayNoChance, sayPercent, sayRole, sayWho } from "./words.js";

const DOTS = 20;
const SAID = ["Confidence is not stated", "No answer is given"]; // notes whose place is elsewhere on the page

/** Who answered, in one sentence. */
export function WhoAnswered({ answer, run }) {
  const { name, text } = sayWho(answer, run);
  const systems = run?.systems.filter(({ label }) => label === name || isNamed(label, text)) ?? [];
  return html`<div class="who">
    <p>${name && html`<b>${name}</b>`} ${text}.</p>
    ${systems.map((system) => html`<p class="hint" key=${system.label}>
      <b>${system.label}</b>: ${sayRole(system, run)}</p>`)}
  </div>`;
}

const isNamed = (label, text) => text.split(/[\s:;,()]+/).includes(label);

/** The chance that the list holds what comes next, in words and as dots. */
export function Chance({ answer }) {
  const { confidence, cutoff } = answer;
  const head = html`<h3>Chance that their next choice is among the first ${cutoff}</h3>`;
  if (confidence === null) return html`<div class="chance none">${head}<p class="hint">${sayNoChance(answer)}</p></div>`;
  const full = Math.round(confidence * DOTS);
  return html`<div class="chance">
    ${head}
    <p class="big">${capitalise(sayChance(confidence))} <small>${sayPercent(confidence)}</small></p>
    <p class="dots" aria-hidden="true">${Array.from({ length: DOTS }, (_, at) => html`<i class=${at < full ? "full" : ""}></i>`)}</p>
    <p class="hint">On test data, answers with this chance were right about that often.</p>
  </div>`;
}

/** What was skipped, could not be done, or is not about this person. */
export function Notes({ answer }) {
  const notes = answer.notes.filter((note) => !SAID.some((start) => note.startsWith(start)));
  const live = answer.live;
  if (live?.problem) notes.push(`${capitalise(live.problem)}.`);
  if (live?.events) notes.push(`Includes ${live.events} of their events that are newer than the training data.`);
  if (answer.attempts.length) notes.push(`Asked first, without a usable answer: ${answer.attempts.join("; ")}.`);
  if (!notes.length) return null;
  return html`<ul class="notes">${notes.map((note) => html`<li key=${note}>${note}</li>`)}</ul>`;
}

/** No answer is given: why, and where to look all the same. */
export function Abstained({ answer, run, link }) {
  return html`<section class="panel abstained" aria-labelledby="abstained-head">
    <h2 id="abstained-head">No list is shown</h2>
    <p>${sayWho(answer, run).text}.</p>
    <p class="hint">Lists that are probably wrong are held back: this run is set up that way, it is not an error.</p>
    <p><a class="button" href=${link}>See what each model would recommend</a></p>
  </section>`;
}
