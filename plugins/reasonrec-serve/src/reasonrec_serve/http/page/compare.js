// The same request, answered by every system of the run, side by side.
import { html } from "./vendor/htm-preact.js";
import { ask } from "./api.js";
import { Picture, useItems } from "./catalogue.js";
import { useLoaded } from "./loading.js";
import { hasPerson, isEdited, toCompareBody, toFragment } from "./request.js";
import { ProblemBox } from "./trouble.js";
import { capitalise, sayMilliseconds, sayQuality, sayRole } from "./words.js";

export function Compare({ run, request }) {
  const key = hasPerson(request) ? JSON.stringify(toCompareBody(request)) : null;
  const { value, problem, busy } = useLoaded(key, (signal) => ask("/v1/compare", { body: toCompareBody(request), signal }));
  const systems = key === null ? [] : (value?.systems ?? []);
  const lists = systems.filter((each) => each.items);
  const items = useItems([...new Set(lists.flatMap((each) => each.items.map((item) => item.id)))]);
  const votes = (id) => lists.filter((each) => each.items.some((item) => item.id === id)).length;
  return html`<section aria-labelledby="compare-head" aria-busy=${busy ? "true" : "false"}>
    <h2 class="head" id="compare-head">${request.user === null ? "These items" : html`<span class="id">${request.user}</span>`}, by each model</h2>
    ${key === null && html`<p class="panel">First choose a person under <a href=${toFragment("recommend", request)}>Recommend</a>.</p>`}
    <${ProblemBox} problem=${problem} />
    ${systems.length > 0 && html`<p class="hint wide">What each model recommends on its own. The dots show how many lists contain an item.
      ${isEdited(request) && " Your changes do not apply here, as only one model has steps that can be changed."}</p>`}
    <div class="systems">${systems.map((each) => html`<${SystemList} key=${each.system} told=${each} run=${run} items=${items}
      votes=${votes} of=${lists.length} />`)}</div>
  </section>`;
}

function SystemList({ told, run, items, votes, of }) {
  const system = run?.systems.find((each) => each.label === told.system);
  const name = `system-${told.system.replace(/\W/g, "_")}`;
  return html`<section class="panel system" aria-labelledby=${name}>
    <h3 id=${name}>${told.system}</h3>
    <p class="hint">${system && `${sayRole(system, run)} ${sayQuality(run, told.system) ?? ""}`}</p>
    ${told.problem && html`<p>${capitalise(told.problem)}.</p>`}
    ${told.items && !told.items.length && html`<p>Nothing to recommend.</p>`}
    ${told.items?.length > 0 && html`<ol class="rows">${told.items.map((item) => html`<li key=${item.id}>
      <${Picture} id=${item.id} title=${item.title} info=${items(item.id)} size=${64} />
      <span class="title">${item.title}</span>
      <span class="votes"><span aria-hidden="true">${"●".repeat(votes(item.id))}${"○".repeat(of - votes(item.id))}</span>
        <span class="unseen">in ${votes(item.id)} of ${of} lists</span></span>
    </li>`)}</ol>`}
    <p class="hint time">Took ${sayMilliseconds(told.milliseconds)}.</p>
  </section>`;
}
