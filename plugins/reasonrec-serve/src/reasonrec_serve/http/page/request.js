// What is asked, as a plain value: edits make a new one, and a link holds all of it.

export const EMPTY = Object.freeze({
  user: null, // an id, or null
  history: null, // item ids, oldest first; null: the user's own
  words: null, // what is wanted, in words; null: nothing is said
  weight: 0.5, // how much the words count beside the history
  ignore: Object.freeze([]), // items of the history that do not count
  assume: Object.freeze({}), // item field -> label that is taken for granted
  k: 10,
  diversity: 0,
  seen: false, // whether items of the history may be recommended again
  where: Object.freeze({}), // item field -> values (any of them), {min, max}, or null: has none
  exclude: Object.freeze([]), // items that are left out
  only: null, // the items that may be recommended; null: all
});
export const VIEWS = ["recommend", "compare", "health"];
const LONGEST_ID = 512;
export const LONGEST_WORDS = 2_000;
const MOST_ITEMS = 10_000;
const MOST_WANTED = 100;
const MOST_FIELDS = 50;

export const hasPerson = (request) => request.user !== null || request.history !== null;
export const isAsked = (request) => hasPerson(request) || request.words !== null;
export const isEdited = (request) => request.ignore.length > 0 || Object.keys(request.assume).length > 0;

export const askUser = (request, user) => ({ ...request, user, history: null, ignore: [], assume: {} });
export const askHistory = (request, history) => ({ ...request, user: null, history, ignore: [], assume: {} });
/** Words for what is wanted; steps cannot be changed then, as no policy answers. */
export const askWords = (request, words) => ({ ...clearEdits(request), words: words || null });
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

/** A field must be so; undefined: whatever it is. */
export function setCondition(request, field, condition) {
  const { [field]: _, ...others } = request.where;
  return { ...request, where: condition === undefined ? others : { ...others, [field]: condition } };
}

/** An item is left out, or may be recommended again. */
export function toggleExcluded(request, id) {
  const out = request.exclude.includes(id);
  return { ...request, exclude: out ? request.exclude.filter((each) => each !== id) : [...request.exclude, id] };
}

/** Only these items may be recommended; none given: all may. */
export const allowOnly = (request, ids) => ({ ...request, only: ids.length ? ids : null });
export const clearFilters = (request) => ({ ...request, where: {}, exclude: [], only: null });
export const countFilters = ({ where, exclude, only }) => Object.keys(where).length + exclude.length + (only ? 1 : 0);

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
  if (request.words !== null) body.query = request.words;
  if (request.words !== null && hasPerson(request)) body.query_weight = request.weight;
  if (request.ignore.length) body.ignore = request.ignore;
  if (Object.keys(request.assume).length) body.assume = request.assume;
  if (request.diversity) body.diversity = request.diversity;
  if (request.seen) body.include_seen = true;
  if (Object.keys(request.where).length) body.where = request.where;
  if (request.exclude.length) body.exclude = request.exclude;
  if (request.only) body.only = request.only;
  return body;
}

/** The body of POST /v1/compare: edits, variety and words are for one model alone. */
export function toCompareBody(request) {
  const { steps, ignore, assume, diversity, query, query_weight, ...body } = toBody(request);
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
  if (request.words !== null) query.append("words", request.words);
  if (request.weight !== EMPTY.weight) query.append("weight", String(request.weight));
  for (const id of request.ignore) query.append("ignore", id);
  for (const [field, label] of Object.entries(request.assume)) query.append(`assume.${field}`, label);
  if (request.k !== EMPTY.k) query.append("k", String(request.k));
  if (request.diversity) query.append("variety", String(request.diversity));
  if (request.seen) query.append("seen", "1");
  for (const [field, condition] of Object.entries(request.where)) {
    if (condition === null) query.append(`none.${field}`, "1");
    else if (Array.isArray(condition)) for (const value of condition) query.append(`where.${field}`, value);
    else for (const [end, value] of Object.entries(condition)) query.append(`${end}.${field}`, value);
  }
  for (const id of request.exclude) query.append("exclude", id);
  for (const id of request.only ?? []) query.append("only", id);
  const text = query.toString();
  return `#${view}${text && `?${text}`}`;
}

/** What a link asks; what makes no sense in it is left out. */
export function fromFragment(fragment) {
  const [name, ...rest] = fragment.replace(/^#/, "").split("?");
  const query = new URLSearchParams(rest.join("?"));
  const ids = (key) => query.getAll(key).filter((id) => id && id.length <= LONGEST_ID).slice(0, MOST_ITEMS);
  const items = ids("item");
  const labels = [...query].filter(([key]) => key.startsWith("assume.")).slice(0, MOST_FIELDS);
  const k = Number.parseInt(query.get("k") ?? "", 10);
  const words = query.get("words")?.trim().slice(0, LONGEST_WORDS) || null;
  const weight = Number.parseFloat(query.get("weight") ?? "");
  const variety = Number.parseFloat(query.get("variety") ?? "");
  const history = items.length || query.has("nobody") ? items : null;
  const request = {
    user: ids("user")[0] ?? null,
    history,
    words,
    weight: weight >= 0 && weight <= 1 ? weight : EMPTY.weight,
    ignore: words === null ? ids("ignore") : [],
    assume: words === null ? Object.fromEntries(labels.map(([key, label]) => [key.slice("assume.".length), label])) : {},
    k: k >= 1 ? Math.min(k, MOST_WANTED) : EMPTY.k,
    diversity: variety > 0 ? Math.min(variety, 1) : 0,
    seen: query.has("seen"),
    where: readConditions(query),
    exclude: ids("exclude"),
    only: query.has("only") ? ids("only") : null,
  };
  return { view: VIEWS.includes(name) ? name : VIEWS[0], request };
}

/** Conditions of a link: `where.brand=A`, once for each value, `min.price=10`, `max.price=20`, `none.brand=1`. */
function readConditions(query) {
  const found = {};
  for (const [key, value] of [...query].slice(0, MOST_ITEMS)) {
    const [, kind, field] = /^(where|min|max|none)\.(.+)$/s.exec(key) ?? [];
    if (!kind || Object.keys(found).length >= MOST_FIELDS) continue;
    if (kind === "none") found[field] = null;
    else if (kind === "where") found[field] = [...(Array.isArray(found[field]) ? found[field] : []), value];
    else found[field] = { ...(Array.isArray(found[field]) ? {} : found[field]), [kind]: value };
  }
  return found;
}
