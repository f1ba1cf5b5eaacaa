// What is known of items: titles, fields, whether there is a picture. Asked for once each, by many ids at a time.
import { html, useContext, useEffect, useState } from "./vendor/htm-preact.js";
import { ask, findImage } from "./api.js";
import { Server } from "./loading.js";

const AT_ONCE = 50;
const FOUND = 8;
const known = new Map(); // id -> what the server tells, or null where there is no such item

async function look(ids) {
  const missing = [...new Set(ids)].filter((id) => !known.has(id));
  for (let at = 0; at < missing.length; at += AT_ONCE) {
    const part = missing.slice(at, at + AT_ONCE);
    const query = new URLSearchParams(part.map((id) => ["id", id]));
    const { items } = await ask(`/v1/items?${query}`);
    for (const id of part) known.set(id, null);
    for (const item of items) known.set(item.id, item);
  }
}

/** What is known of items by id; undefined while it is asked for, null where there is no such item. */
export function useItems(ids) {
  const { attempt, report } = useContext(Server);
  const [, setSeen] = useState(0);
  const key = ids.join("\n");
  useEffect(() => {
    let wanted = true;
    look(ids).then(
      () => wanted && setSeen((count) => count + 1),
      (error) => wanted && error.kind && report(error),
    );
    return () => {
      wanted = false;
    };
  }, [key, attempt]);
  return (id) => known.get(id);
}

/** Items by words, for a combobox, and one of them in it. */
export const findItems = async (words, signal) =>
  (await ask(`/v1/items?${new URLSearchParams({ q: words, limit: FOUND })}`, { signal })).items;
export const showItem = (item) => html`<${Picture} id=${item.id} title=${item.title} info=${item} size=${64} />
  <span><b>${item.title}</b> <small>${sayFields(item) || item.id}</small></span>`;

/** A short line of what an item is: the fields that are short enough to be read in passing. */
export function sayFields(item) {
  const short = Object.entries(item?.fields ?? {}).filter(([, value]) => value.length <= 40);
  return short.slice(0, 3).map(([, value]) => value.replaceAll("|", ", ")).join(" · ");
}

/** The picture of an item, or its initials where it has none. The title stands beside it: no alternative text. */
export function Picture({ id, title, info, size = 256 }) {
  const [source, setSource] = useState(null);
  const [failed, setFailed] = useState(false);
  const wanted = info?.image ? id : null;
  useEffect(() => {
    let current = true;
    setFailed(false);
    setSource(null);
    if (wanted !== null) findImage(wanted, size).then((url) => current && (url ? setSource(url) : setFailed(true)));
    return () => {
      current = false;
    };
  }, [wanted, size]);
  if (source && !failed) {
    return html`<span class="picture">
      <img src=${source} alt="" loading="lazy" decoding="async" onError=${() => setFailed(true)} />
    </span>`;
  }
  const waits = info === undefined || (wanted !== null && !failed);
  const initials = (title ?? id).split(/\s+/).slice(0, 2).map((word) => word.charAt(0)).join("").toUpperCase();
  return html`<span class="picture empty" aria-hidden="true">${waits ? "" : initials}</span>`;
}
