// What goes wrong, said where it is seen: no server, no token, too many requests, a request that is refused.
import { html, useContext, useState } from "./vendor/htm-preact.js";
import { hasToken, setToken } from "./api.js";
import { Server } from "./loading.js";
import { capitalise, sayCount } from "./words.js";

/** Above everything: it stops all that the page does. */
export function Trouble() {
  const { trouble, retry } = useContext(Server);
  if (!trouble) return html`<div class="trouble" role="alert"></div>`;
  if (trouble.kind === "token") return html`<div class="trouble"><${TokenForm} retry=${retry} /></div>`;
  const said = trouble.kind === "busy"
    ? `${capitalise(trouble.message)}. Trying again in ${sayCount(trouble.retry, "second")}.`
    : "The server is not responding. Trying again every 2 seconds; your choices are kept.";
  return html`<div class="trouble" role="alert">
    <p class="banner">${said} <button type="button" onClick=${retry}>Try now</button></p>
  </div>`;
}

function TokenForm({ retry }) {
  const [text, setText] = useState("");
  const submit = (event) => {
    event.preventDefault();
    setToken(text);
    retry();
  };
  return html`<form class="panel token" onSubmit=${submit} aria-labelledby="token-head">
    <h2 id="token-head">This server needs a token</h2>
    <p role="alert">${hasToken() ? "That token is not correct." : "Ask whoever runs the server: it is in the file given by --token-file."}</p>
    <label for="token">Token</label>
    <input id="token" type="password" autocomplete="off" required value=${text} onInput=${(event) => setText(event.target.value)} />
    <p class="hint">Kept until this tab is closed, and sent to this server only.</p>
    <button type="submit" class="main">Continue</button>
  </form>`;
}

/** A request that was refused: what, and what to do. */
export function ProblemBox({ problem }) {
  if (problem?.kind !== "refused") return null;
  return html`<div class="panel problem" role="alert">
    <p><b>${capitalise(problem.message)}.</b></p>
    ${problem.fix && html`<p>${problem.fix}</p>`}
  </div>`;
}
