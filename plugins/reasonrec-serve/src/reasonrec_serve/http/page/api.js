// Asking the server: what goes wrong becomes a Problem that says what, and what to do.

const KEY = "reasonrec-token";
let token = sessionStorage.getItem(KEY) ?? "";

export const hasToken = () => token !== "";

/** Kept until the tab is closed. */
export function setToken(text) {
  token = text.trim();
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

/** `kind`: "gone" (no server), "token", "busy" (try again after `retry` seconds), or "refused". */
export class Problem extends Error {
  constructor(kind, { what, fix = "", where = "", status = 0, retry = 0 }) {
    super(what);
    Object.assign(this, { kind, what, fix, where, status, retry });
  }
}

const kindOf = (status) => (status === 401 ? "token" : status === 429 || status === 503 ? "busy" : "refused");

/** The JSON of a route; `body` makes it a POST. */
export async function ask(path, { body, signal } = {}) {
  const response = await send(path, body, signal);
  if (response.ok) return response.json();
  let told = {};
  try {
    told = await response.json();
  } catch {
    // A proxy's page, not the server's words: the status has to do.
  }
  throw new Problem(kindOf(response.status), {
    what: told.what ?? `the server answered ${response.status}`,
    fix: told.fix ?? "",
    where: told.where ?? "",
    status: response.status,
    retry: Number(response.headers.get("Retry-After")) || 1,
  });
}

async function send(path, body, signal) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = { headers, signal, cache: body ? "no-store" : "default" };
  if (body) Object.assign(options, { method: "POST", body: JSON.stringify(body) });
  if (body) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("gone", { what: "the server does not answer" });
  }
}

/** Whether the server is there and ready. */
export async function isReady() {
  try {
    return (await fetch("/health/ready", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

const imagePath = (item, size) => `/v1/images/${encodeURIComponent(item)}?w=${size}`;

/** Where a picture is: its address, or, where a token must be sent for it, what was fetched. */
export async function findImage(item, size) {
  const path = imagePath(item, size);
  if (!token) return path;
  const known = fetched.get(path) ?? fetchImage(path);
  fetched.delete(path); // the newest stand last
  fetched.set(path, known);
  if (fetched.size > MOST_IMAGES) {
    const [oldest, url] = fetched.entries().next().value;
    fetched.delete(oldest);
    url.then((old) => old && URL.revokeObjectURL(old));
  }
  return known;
}

const MOST_IMAGES = 400;
const fetched = new Map();

async function fetchImage(path) {
  try {
    const response = await send(path);
    if (response.ok) return URL.createObjectURL(await response.blob());
  } catch {
    // Shown as a missing picture; the next one asks again.
  }
  fetched.delete(path);
  return null;
}
