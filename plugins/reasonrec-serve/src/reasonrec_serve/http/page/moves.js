// What became of a list: which items entered and left, and by how many places others moved.

/** `by`: id -> {kind: "entered" | "up" | "down" | "same", places}; `left`: items that are no longer there, best first. */
export function compareLists(before, after) {
  const old = new Map(before.map((item, at) => [item.id, at]));
  const now = new Set(after.map((item) => item.id));
  const by = new Map();
  const left = before.filter((item) => !now.has(item.id));
  const counts = { entered: 0, left: left.length, up: 0, down: 0, same: 0 };
  after.forEach((item, at) => {
    const places = old.has(item.id) ? old.get(item.id) - at : null;
    const kind = places === null ? "entered" : places > 0 ? "up" : places < 0 ? "down" : "same";
    counts[kind] += 1;
    by.set(item.id, { kind, places: Math.abs(places ?? 0) });
  });
  return { by, left, counts };
}
