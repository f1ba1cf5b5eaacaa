// How the server does, and what it answers from.
import { html, useEffect, useState } from "./vendor/htm-preact.js";
import { ask } from "./api.js";
import { useLoaded } from "./loading.js";
import { ProblemBox } from "./trouble.js";
import { sayCount, sayMilliseconds, sayPercent, sayQuality, sayRole } from "./words.js";

const EVERY = 5_000; // milliseconds between looks
const WAYS = {
  self: "The model that reasons in steps, alone",
  replace: "A fast model instead",
  consult: "The model that reasons in steps, after asking fast models",
  abstain: "No answer: no model was sure enough",
};

export function Health({ run }) {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setTick((count) => count + 1), EVERY);
    return () => clearInterval(timer);
  }, []);
  const { value: status, problem } = useLoaded(`status ${tick}`, async (signal) => ({
    ...(await ask("/v1/status", { signal })),
    at: new Date().toLocaleTimeString("en-GB"),
  }));
  return html`<section aria-labelledby="health-head">
    <h2 class="head" id="health-head">Health</h2>
    <${ProblemBox} problem=${problem} />
    <div class="facts">
      ${run && html`<${Run} run=${run} />`}
      ${status && html`<div class="stack">
          <${Server} status=${status} />
          <${Shares} head="How requests were answered" of=${status.decisions} words=${WAYS} />
          <${Shares} head="Who answered" of=${status.answers} words=${{}} />
        </div>
        <${Latency} latency=${status.latency} />`}
      ${run && html`<${Systems} run=${run} />`}
    </div>
    ${status && html`<p class="hint">Updated at ${status.at}, every 5 seconds. For programs: <a href="/metrics">/metrics</a>.</p>`}
  </section>`;
}

function Facts({ head, facts }) {
  const name = head.toLowerCase().replace(/\W+/g, "-");
  return html`<section class="panel" aria-labelledby=${name}>
    <h3 id=${name}>${head}</h3>
    <dl>${facts.filter(Boolean).map(([term, words]) => html`<div key=${term}><dt>${term}</dt><dd>${words}</dd></div>`)}</dl>
  </section>`;
}

function Run({ run }) {
  const day = (text) => (text ? new Date(text).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : "–");
  const models = run.models === "final"
    ? "final: trained on all the data"
    : "evaluated: those that were tested, which have not seen each person’s newest choices";
  return html`<${Facts} head="What answers" facts=${[
    ["Run", run.name],
    ["Trained", day(run.fitted)],
    ["Models", models],
    ["Learned from", `${sayCount(run.dataset.interactions, "choice")} by ${sayCount(run.dataset.users, "person", "people")} among ${sayCount(run.dataset.items, "item")}`],
    run.results && ["Tested", `${day(run.results.measured)}; ${run.results.protocol}`],
    run.results && ["Whole system", sayQuality(run, "routed") ?? "–"],
    ["Version", run.version],
  ]} />`;
}

function Server({ status }) {
  const { store, events, requests } = status;
  const failed = Object.entries(requests).filter(([code]) => code >= "500").reduce((sum, [, count]) => sum + count, 0);
  const total = Object.values(requests).reduce((sum, count) => sum + count, 0);
  const kept = store.kind === null ? "not kept" : store.reached ? `kept (${store.kind})` : "the store cannot be reached";
  return html`<${Facts} head="The server" facts=${[
    ["Processes", `${status.workers}; this one has been running for ${sayCount(Math.round(status.worker.seconds / 60), "minute")}`],
    ["Requests", `${total.toLocaleString("en")}, of which ${failed.toLocaleString("en")} failed here`],
    ["New events", `${kept}; ${(events.new ?? 0).toLocaleString("en")} received`],
    store.kind !== null && ["What they change", status.learning],
    status.learned_events > 0 && ["Learned since", sayCount(status.learned_events, "event")],
  ]} />`;
}

const sayRoute = (route) => (route === "other" ? "files of this page, and unknown paths" : route.replace(/\{(\w+)(:\w+)?\}/, (_, name) => name.toUpperCase()));

function Latency({ latency }) {
  const rows = Object.entries(latency).filter(([, each]) => each.count);
  return html`<section class="panel wide" aria-labelledby="latency">
    <h3 id="latency">How long requests take</h3>
    <p class="hint">Half of the requests take at most the first time, 19 of 20 at most the second, 99 of 100 at most the third.</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Times by route"><table>
      <thead><tr><th scope="col">Route</th><th scope="col">Count</th><th scope="col">Half (p50)</th>
        <th scope="col">19 of 20 (p95)</th><th scope="col">99 of 100 (p99)</th></tr></thead>
      <tbody>${rows.map(([route, each]) => html`<tr key=${route}><th scope="row"><code>${sayRoute(route)}</code></th>
        <td>${each.count.toLocaleString("en")}</td><td>${sayMilliseconds(each.p50_ms)}</td>
        <td>${sayMilliseconds(each.p95_ms)}</td><td>${sayMilliseconds(each.p99_ms)}</td></tr>`)}</tbody>
    </table></div>
  </section>`;
}

function Shares({ head, of, words }) {
  const rows = Object.entries(of).sort(([, one], [, other]) => other - one);
  const total = rows.reduce((sum, [, count]) => sum + count, 0);
  const name = head.toLowerCase().replace(/\W+/g, "-");
  return html`<section class="panel" aria-labelledby=${name}>
    <h3 id=${name}>${head}</h3>
    ${!total && html`<p class="hint">No requests yet.</p>`}
    <ul class="bars">${rows.map(([key, count]) => html`<li key=${key}>
      <span>${words[key] ?? key}</span><span>${count.toLocaleString("en")} (${sayPercent(count / total)})</span>
      <progress aria-hidden="true" max=${total} value=${count}></progress>
    </li>`)}</ul>
  </section>`;
}

function Systems({ run }) {
  return html`<section class="panel wide" aria-labelledby="systems">
    <h3 id="systems">The models</h3>
    <dl class="models">${run.systems.map((system) => html`<div key=${system.label}><dt>${system.label}</dt>
      <dd>${sayRole(system, run)} ${sayQuality(run, system.label)} <small>Method: ${system.summary}.</small></dd></div>`)}</dl>
  </section>`;
}
