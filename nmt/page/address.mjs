/** The page's state in the address's hash, so that a link reproduces it. No DOM here. */

import { MEAN } from "../inspection/explorer/weights.mjs";

/** The state when the page opens; `kind` to `step` are the explorer's, `forced`, `off` and `moved` `Translator.translate`'s. */
export function initialState({ name, alignmentLayer, alignmentHead = null }, text) {
  return {
    text, model: name, beam: 3, nBest: 1, sentence: 0, hypothesis: 0, forced: [], off: [], moved: [],
    kind: "cross", layer: alignmentLayer ?? 0, head: alignmentHead ?? MEAN, unit: "words", threshold: 0.02, step: 0,
    matter: false, beside: "",
  };
}

const ANY = "*";
const words = (text) => text.split(" ").filter(Boolean);
const whole = (text) => (/^\d{1,4}$/.test(text) ? Number(text) : null);

/** How each entry that is no plain text is written, and read again; null is refused. */
const FORMS = {
  beam: [String, whole],
  nBest: [String, whole],
  sentence: [String, whole],
  hypothesis: [String, whole],
  layer: [String, whole],
  head: [String, (text) => (text === MEAN ? MEAN : whole(text))],
  step: [String, whole],
  threshold: [String, (text) => (Number(text) >= 0 && Number(text) <= 1 ? Number(text) : null)],
  matter: [(value) => (value ? "yes" : ""), (text) => text === "yes"],
  forced: [(pieces) => pieces.join(" "), words],
  off: [(heads) => heads.map(headText).join(" "), (text) => words(text).map(readHead).filter(Boolean)],
  moved: [(rows) => rows.map(rowText).join(" "), (text) => words(text).map(readRow).filter(Boolean)],
};

function headText({ kind, layer, head, by = "zero" }) {
  return `${kind}.${layer}.${head}.${by}`;
}

function readHead(text) {
  const found = text.match(/^(encoder|decoder|cross)\.(\d{1,4})\.(\d{1,4})\.(zero|mean)$/);
  return found && { kind: found[1], layer: Number(found[2]), head: Number(found[3]), by: found[4] };
}

function rowText({ step, to, layer = ANY, head = ANY }) {
  return `${step}.${layer}.${head}.${to.join(",")}`;
}

function readRow(text) {
  const found = text.match(/^(\d{1,4})\.(\*|\d{1,4})\.(\*|\d{1,4})\.(\d{1,4}(?:,\d{1,4})*)$/);
  if (!found) return null;
  const row = { step: Number(found[1]), to: found[4].split(",").map(Number) };
  if (found[2] !== ANY) row.layer = Number(found[2]);
  if (found[3] !== ANY) row.head = Number(found[3]);
  return row;
}

function written(name, value) {
  return (FORMS[name]?.[0] ?? String)(value);
}

/** The hash without `#`; what is as in `initial` is left out. */
export function hashOf(state, initial) {
  const changed = Object.keys(initial).filter((name) => written(name, state[name]) !== written(name, initial[name]));
  return new URLSearchParams(changed.map((name) => [name, written(name, state[name])])).toString();
}

/** The state that a hash stands for; what it does not say, or says wrongly, is as in `initial`. */
export function stateOf(hash, initial) {
  const parameters = new URLSearchParams(hash.replace(/^#/, ""));
  const read = (name) => {
    if (!parameters.has(name)) return null;
    return (FORMS[name]?.[1] ?? String)(parameters.get(name));
  };
  return Object.fromEntries(Object.entries(initial).map(([name, value]) => [name, read(name) ?? value]));
}
