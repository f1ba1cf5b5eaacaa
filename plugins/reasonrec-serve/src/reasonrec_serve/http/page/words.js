// What the page says: one place for sentences that are made of numbers and names.

const CHANCES = [
  [1, 100], [1, 75], [1, 50], [1, 40], [1, 30], [1, 25], [1, 20], [1, 15], [1, 12], [1, 10], [1, 9], [1, 8], [1, 7], [1, 6],
  [1, 5], [1, 4], [1, 3], [2, 5], [1, 2], [3, 5], [2, 3], [3, 4], [4, 5], [9, 10], [19, 20],
];

/** A probability in words: "about 1 in 4". */
export function sayChance(probability) {
  if (probability < 0.0075) return "less than 1 in 100";
  if (probability > 0.975) return "almost certain";
  const distance = ([wins, of]) => Math.abs(Math.log((wins / of) / probability));
  const [wins, of] = CHANCES.reduce((best, each) => (distance(each) < distance(best) ? each : best));
  return `about ${wins} in ${of}`;
}

export const sayPercent = (share) => {
  const percent = 100 * share;
  return `${percent > 0 && percent < 2 ? percent.toFixed(1) : Math.round(percent)}\u00a0%`;
};

export const sayCount = (count, one, many = `${one}s`) => `${count.toLocaleString("en")} ${count === 1 ? one : many}`;

export const sayMilliseconds = (value) =>
  value === null || value === undefined ? "–" : value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;

/** A, B and C. */
export function joinWords(words) {
  return words.length < 2 ? (words[0] ?? "") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

export const capitalise = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const sayField = (name) => name.replaceAll("_", " ");

const SOURCES = { image: "their pictures", text: "their texts" };
/** What a taste was read from: an item field, or what an encoder looked at. */
export const saySource = (name) => SOURCES[name] ?? sayField(name);

/** What a field of the items must be. */
export function sayCondition(name, condition) {
  const field = sayField(name);
  if (condition === null) return `without ${field}`;
  if (Array.isArray(condition)) return `${field}: ${condition.join(" or ")}`;
  const { min, max } = condition;
  if (min === undefined) return `${field} at most ${max}`;
  return max === undefined ? `${field} at least ${min}` : `${field} from ${min} to ${max}`;
}

/** Who answered, and why. `name` stands in bold before `text`. */
export function sayWho(answer, run) {
  if (answer.route === "abstain") return { name: "", text: capitalise(withoutPolicyWord(answer.reason, run)) };
  if (answer.edited) return { name: answer.by, text: "answers, using the steps as you changed them" };
  const [whole, why] = /^[^:;]* answers: (.*)$/s.exec(answer.reason) ?? [];
  const text = whole ? `answers: ${why}` : `answers. ${capitalise(answer.reason)}`;
  return { name: answer.by, text: withoutPolicyWord(text, run) };
}

/** "the policy" by the name that it has in this run. */
function withoutPolicyWord(text, run) {
  return run?.policy ? text.replaceAll("the policy itself", run.policy).replaceAll("the policy", run.policy) : text;
}

/** What a system is, for somebody who sees its name for the first time. */
export function sayRole(system, run) {
  if (system.policy) return "The model that reasons in steps, which you can inspect and change.";
  return run.policy ? `A fast model that answers instead of ${run.policy} where it is just as good.` : "A fast model.";
}

/** How often a system was right when the run was tested; null where it was not tested. */
export function sayQuality(run, label) {
  const name = `HR@${run.cutoff}`;
  const found = run.results?.systems?.[label]?.[name];
  if (!found) return null;
  return `In the test, the next choice was among its first ${run.cutoff} for ${Math.round(100 * found.value)} of 100 people.`;
}

/** Why the chance is not stated. */
export function sayNoChance(answer) {
  if (answer.edited) return "Not stated: it was measured on answers without changes.";
  if (answer.limited) return "Not stated: it was measured on lists without these options.";
  return "Not stated: this run did not measure it for such answers.";
}

/** What a change did to the list, for somebody who cannot see it. */
export function sayMoves(moves, items) {
  const { entered, left, up, down } = moves.counts;
  const said = [];
  if (entered) said.push(`${entered} entered`);
  if (left) said.push(`${left} left`);
  if (up) said.push(`${up} moved up`);
  if (down) said.push(`${down} moved down`);
  const first = items.length ? ` First is ${items[0].title}.` : "";
  return `${said.length ? `The list changed: ${joinWords(said)}.` : "The list has not changed."}${first}`;
}
