/** The page: type, and the translation and its attention follow. */

import { html } from "../inspection/explorer/dom.mjs";
import { matrixView, weightText } from "../inspection/explorer/matrix_view.mjs";
import { describe } from "../inspection/explorer/model.mjs";
import { bytesFromBase64 } from "../inspection/explorer/weights.mjs";
import { MEAN, attentionView, confidences, meaning } from "./attention_view.mjs";
import { engine } from "./client.mjs";

const EXAMPLES = {
  en: ["She gave him the red book.", "It's raining cats and dogs.", "We sat on the bank of the river.", "I don't think that he knows what he would do if the train were late again."],
  es: ["Ella le dio el libro rojo.", "Está lloviendo a cántaros.", "Nos sentamos en el banco del parque.", "No creo que sepa lo que haría si el tren volviera a llegar tarde."],
};
/** Milliseconds without a key before the translation begins. */
const PAUSE = 120;

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
for (const model of data.models) model.subwords = data.subwords[model.subwords];
const tables = { light: bytesFromBase64(data.colours.light), dark: bytesFromBase64(data.colours.dark) };
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const details = new Map(data.models.map((model) => [model.name, model]));
const nmt = engine(data.worker, data.models);
window.nmt = nmt;

let model = data.models[0];
let choice = firstChoice(model);
let shown = null;
let view = null;
let pinned = null;
let timer = null;
let asked = 0;

const picture = matrixView(find("matrix"), { onPoint: point, onPin: pin });

function firstChoice({ alignmentLayer }) {
  return { kind: "cross", layer: alignmentLayer, head: MEAN };
}

function theme() {
  return document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light");
}

/** Translate what is in the field; an answer that a later question has overtaken is dropped. */
async function translate() {
  asked += 1;
  const mine = asked;
  document.documentElement.dataset.busy = "true";
  let result = null;
  let trouble = "";
  const text = find("text").value;
  try {
    result = await nmt.translate(text, { beam: Number(find("beam").value), model: model.name });
  } catch (error) {
    trouble = error.message;
  }
  if (mine !== asked) return;
  delete document.documentElement.dataset.busy;
  find("trouble").textContent = trouble;
  shown = result;
  pinned = null;
  draw();
  document.documentElement.dataset.translated = text;
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(translate, PAUSE);
}

function draw() {
  const { source, target } = model;
  find("text").lang = source;
  find("translation").lang = target;
  find("source-label").textContent = `From ${languageName(source)}`;
  find("target-label").textContent = `To ${languageName(target)}`;
  const ready = Boolean(shown?.heads);
  find("attention").hidden = !ready;
  drawTranslation();
  if (!ready) return;
  const { layers, heads } = shown.heads[choice.kind];
  choice = { ...choice, layer: Math.min(choice.layer, layers - 1) };
  fill(find("layer"), layers, choice.layer, (layer) => ({ value: layer, text: `layer ${layer + 1}` }));
  fill(find("head"), heads + 1, choice.head === MEAN ? 0 : choice.head + 1, (number) =>
    number === 0 ? { value: MEAN, text: "mean of heads" } : { value: number - 1, text: `head ${number}` });
  find("kind").value = choice.kind;
  view = attentionView(shown, choice);
  find("title").textContent = view.title;
  find("meaning").textContent = meaning(choice.kind);
  picture.draw(view, { threshold: 0.02, colours: tables[theme()] });
  point(null);
}

function drawTranslation() {
  const holder = find("translation");
  if (!shown?.heads) {
    holder.replaceChildren(shown?.text ?? "");
    find("score").textContent = "";
    return;
  }
  const sure = confidences(shown);
  const parts = [];
  let place = 0;
  shown.targetWords.forEach((word, number) => {
    const start = shown.text.indexOf(word, place);
    parts.push(shown.text.slice(place, start));
    const { probability, exact } = sure[number];
    const title = `probability ${exact ? "" : "at most "}${Math.round(100 * probability)} %`;
    parts.push(html("span", { class: probability < 0.5 ? "unsure" : "", title }, word));
    place = start + word.length;
  });
  holder.replaceChildren(...parts, shown.text.slice(place));
  find("score").textContent = `Score ${shown.score.toFixed(2)} (log-probability divided by the length penalty); words with a probability under 50 % are underlined.`;
}

function fill(select, count, chosen, option) {
  select.replaceChildren(
    ...Array.from({ length: count }, (_, number) => {
      const { value, text } = option(number);
      return html("option", { value, selected: number === chosen }, text);
    }),
  );
}

function languageName(code) {
  try {
    return new Intl.DisplayNames(["en"], { type: "language" }).of(code);
  } catch {
    return code;
  }
}

/** Light up what the pointer or the keyboard is on, or else what is pinned, and say its weight. */
function point(here) {
  const lit = here ?? pinned;
  picture.light(lit);
  const inside = lit && lit.row !== null && lit.column !== null;
  find("readout").textContent = inside
    ? describe(view, lit.row, lit.column, weightText(view, lit.row, lit.column))
    : "Point at a cell, or walk through them with the arrow keys.";
}

function pin(here) {
  pinned = pinned && pinned.row === here.row && pinned.column === here.column ? null : here;
  point(here);
}

function choose(next) {
  choice = { ...choice, ...next };
  pinned = null;
  draw();
}

/** Take another model; with `text` the field holds that afterwards. */
function take(name, text = find("text").value) {
  model = details.get(name);
  choice = firstChoice(model);
  find("model").value = name;
  find("swap").hidden = !opposite();
  find("text").value = text;
  drawExamples();
  return translate();
}

/** The model of the other direction, where there is one. */
function opposite() {
  return data.models.find(({ source, target }) => source === model.target && target === model.source);
}

function drawExamples() {
  const examples = EXAMPLES[model.source] ?? [];
  find("examples").replaceChildren(
    ...examples.map((text) =>
      html("button", { type: "button", lang: model.source, onclick: () => { find("text").value = text; translate(); } }, text)),
  );
}

find("text").addEventListener("input", later);
find("beam").addEventListener("change", translate);
find("model").addEventListener("change", () => take(find("model").value));
find("swap").addEventListener("click", () => take(opposite().name, shown?.text || find("text").value));
find("kind").addEventListener("change", () => choose({ kind: find("kind").value, head: MEAN }));
find("layer").addEventListener("change", () => choose({ layer: Number(find("layer").value) }));
find("head").addEventListener("change", () => choose({ head: find("head").value === MEAN ? MEAN : Number(find("head").value) }));
find("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  draw();
});
prefersDark.addEventListener("change", draw);
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) draw();
  width = innerWidth;
});
find("model").replaceChildren(
  ...data.models.map(({ name, source, target }) => html("option", { value: name }, `${name} (${source}–${target})`)),
);
find("model-choice").hidden = data.models.length < 2;
take(model.name, EXAMPLES[model.source]?.[0] ?? "").then(() => {
  document.documentElement.dataset.ready = "true";
  performance.mark("ready");
});
