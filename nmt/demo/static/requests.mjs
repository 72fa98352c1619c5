/** What the demo asks for and what it gets, apart from the page: links, waiting, answers as drawable views. */

const NUMBERS = ["beam", "length_penalty"];

/** The choices that a shared link holds. */
export function choicesFromLink(search) {
  const parameters = new URLSearchParams(search);
  const choices = { text: parameters.get("text") ?? "", model: parameters.get("model"), other: parameters.get("other") };
  for (const name of NUMBERS) {
    const value = parameters.get(name);
    choices[name] = value !== null && value.trim() !== "" && Number.isFinite(Number(value)) ? Number(value) : null;
  }
  return choices;
}

/** The link's part after the address, without what is not chosen. */
export function linkFromChoices(choices) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) {
    if (value !== null && value !== "" && value !== undefined) parameters.set(name, value);
  }
  const text = parameters.toString();
  return text ? `?${text}` : "";
}

/** The body of a request for one model's translation. */
export function requestOf(choices, model) {
  const body = { text: choices.text, model };
  for (const name of NUMBERS) if (choices[name] !== null) body[name] = choices[name];
  return body;
}

/** Call `action` when nothing has been asked for `milliseconds`. */
export function debounced(action, milliseconds, timers = globalThis) {
  let timer = null;
  return (...values) => {
    timers.clearTimeout(timer);
    timer = timers.setTimeout(() => action(...values), milliseconds);
  };
}

/** Pharaoh form, source-target, as [row, column] of the matrix. */
export function linksOf(pharaoh) {
  const links = pharaoh.split(" ").filter(Boolean).map((link) => link.split("-").map(Number));
  return links.map(([source, target]) => [target, source]);
}

/** An answer as the explorer's views draw it, or null from a model that has no alignment. */
export function viewOfAnswer(answer) {
  if (answer.attention === null) return null;
  const [rows, columns] = [answer.target_words.length, answer.source_words.length + 1];
  return {
    kind: "alignment",
    unit: "words",
    title: "Alignment",
    matrix: { rows, columns, values: Float32Array.from(answer.attention.flat()) },
    rowLabels: answer.target_words,
    columnLabels: [...answer.source_words, "</s>"],
    links: linksOf(answer.alignment),
  };
}
