// What is asked, as a plain value: edits make a new one, and a link holds all of it.

export const EMPTY = Object.freeze({
  user: null, // an id, or null
  history: null, // item ids, oldest first; null: the user's own
  ignore: Object.freeze([]), // items of the history that do not count
  assume: Object.freeze({}), // item field -> label that is taken for granted
  k: 10,
  diversity: 0,
  seen: false, // whether items of the history may be recommended again
});
export const VIEWS = ["recommend", "compare", "health"];
const LONGEST_ID = 512;
const MOST_ITEMS = 10_000;
const MOST_WANTED = 100;

export const isAsked = (request) => request.user !== null || request.history !== null;
export const isEdited = (request) => request.ignore.length > 0 || Object.keys(request.assume).length > 0;

export const askUser = (request, user) => ({ ...request, user, history: null, ignore: [], assume: {} });
export const askHistory = (request, history) => ({ ...request, user: null, history, ignore: [], assume: {} });
export const clearEdits = (request) => ({ ...request, ignore: [], assume: {} });

/** Another history of the same person; what is no longer in it cannot be ignored. */
export function setHistory(request, history) {
  return { ...request, history, ignore: request.ignore.filter((id) => history.includes(id)) };
}

/** An item counts, or does not. */
export function toggleIgnored(request, id) {
  const ignored = request.ignore.includes(id);
  return { ...request, ignore: ignored ? request.ignore.filter((each) => each !== id) : [...request.ignore, id] };
}

/** Take a label for granted; null: none. */
export function assume(request, field, label) {
  const { [field]: _, ...others } = request.assume;
  return { ...request, assume: label === null ? others : { ...others, [field]: label } };
}

/** Whether two requests are about the same person, so that their lists can be compared. */
export function isSamePerson(one, other) {
  if (one.user !== null || other.user !== null) return one.user === other.user;
  return Boolean(one.history && other.history && one.history.some((id) => other.history.includes(id)));
}

/** The body of POST /v1/recommend. */
export function toBody(request) {
  const body = { k: request.k, steps: true };
  if (request.user !== null) body.user = request.user;
  if (request.history !== null) body.history = request.history;
  if (request.ignore.length) body.ignore = request.ignore;
  if (Object.keys(request.assume).length) body.assume = request.assume;
  if (request.diversity) body.diversity = request.diversity;
  if (request.seen) body.include_seen = true;
  return body;
}

/** The body of POST /v1/compare: edits and variety belong to the policy alone. */
export function toCompareBody(request) {
  const { steps, ignore, assume, diversity, ...body } = toBody(request);
  return body;
}

/** The part of a link after "#": it is not sent to any server, so no id ends in a log. */
export function toFragment(view, request) {
  const query = new URLSearchParams();
  if (request.user !== null) query.append("user", request.user);
  if (request.history !== null) {
    if (!request.history.length) query.append("nobody", "1");
    for (const id of request.history) query.append("item", id);
  }
  for (const id of request.ignore) query.append("ignore", id);
  for (const [field, label] of Object.entries(request.assume)) query.append(`assume.${field}`, label);
  if (request.k !== EMPTY.k) query.append("k", String(request.k));
  if (request.diversity) query.append("variety", String(request.diversity));
  if (request.seen) query.append("seen", "1");
  const text = query.toString();
  return `#${view}${text && `?${text}`}`;
}

/** What a link asks; what makes no sense in it is left out. */
export function fromFragment(fragment) {
  const [name, ...rest] = fragment.replace(/^#/, "").split("?");
  const query = new URLSearchParams(rest.join("?"));
  const ids = (key) => query.getAll(key).filter((id) => id && id.length <= LONGEST_ID).slice(0, MOST_ITEMS);
  const items = ids("item");
  const labels = [...query].filter(([key]) => key.startsWith("assume.")).slice(0, 50);
  const k = Number.parseInt(query.get("k") ?? "", 10);
  const variety = Number.parseFloat(query.get("variety") ?? "");
  const history = items.length || query.has("nobody") ? items : null;
  const request = {
    user: ids("user")[0] ?? null,
    history,
    ignore: ids("ignore"),
    assume: Object.fromEntries(labels.map(([key, label]) => [key.slice("assume.".length), label])),
    k: k >= 1 ? Math.min(k, MOST_WANTED) : EMPTY.k,
    diversity: variety > 0 ? Math.min(variety, 1) : 0,
    seen: query.has("seen"),
  };
  return { view: VIEWS.includes(name) ? name : VIEWS[0], request };
}
