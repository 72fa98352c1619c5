/** The page: the reader's choices in one state, and the views drawn from it. */

import { html } from "./dom.mjs";
import { linesView } from "./lines_view.mjs";
import { matrixView, weightText } from "./matrix_view.mjs";
import { KINDS, describe, hypothesisOf, initialState, settled, steps, viewOf } from "./model.mjs";
import { stepsView } from "./steps_view.mjs";
import { miniature, thumbnails } from "./thumbnails.mjs";
import { bytesFromBase64 } from "./weights.mjs";

const find = (id) => document.getElementById(id);
const range = (count) => Array.from({ length: count }, (_, i) => i);
const data = JSON.parse(find("data").textContent);
const tables = { light: bytesFromBase64(data.colours.light), dark: bytesFromBase64(data.colours.dark) };
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
let state = settled(data, initialState());
let view = null;
let pinned = null;
let printing = false;

const matrix = matrixView(find("matrix"), { onPoint: point, onPin: pin });
const lines = linesView(find("lines"), { onPoint: point, onPin: pin });
const stepper = stepsView(find("stepper"), { onStep: (step) => change({ step }, { row: step, column: null }) });
const heads = thumbnails(find("thumbnails"), { onChoose: (layer, head) => change({ layer, head }) });

function theme() {
  if (printing) return "light";
  return document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light");
}

/** Take new choices and draw everything; `keep` stays lit afterwards. */
function change(choices, keep = null) {
  state = settled(data, { ...state, ...choices });
  pinned = keep;
  draw();
}

function draw() {
  const hypothesis = hypothesisOf(data, state);
  const colours = tables[theme()];
  view = viewOf(hypothesis, state);
  find("title").textContent = view.title;
  find("meaning").textContent = meaning(view.kind);
  drawSentence(hypothesis);
  drawKinds(hypothesis, colours);
  heads.draw(hypothesis, state, colours, theme());
  for (const unit of ["words", "pieces"]) {
    const button = find(`unit-${unit}`);
    button.checked = view.unit === unit;
    button.disabled = view.kind === "alignment" && unit === "pieces";
  }
  find("threshold").value = state.threshold;
  find("threshold-value").textContent = state.threshold.toFixed(2);
  matrix.draw(view, { threshold: state.threshold, colours });
  lines.draw(view, { threshold: state.threshold });
  const shown = view.kind === "encoder" ? viewOf(hypothesis, { ...state, kind: "alignment" }) : view;
  const walked = steps(hypothesis, shown.unit);
  stepper.draw(walked, Math.min(state.step, walked.length - 1), shown, colours);
  if (find("table").open) drawTable();
  point(null);
}

function meaning(kind) {
  const { rows, columns } = KINDS[kind];
  if (kind === "alignment") return "Each row says which source words a target word comes from.";
  return `Each row is a ${rows} position and shows how it shares its attention among the ${columns} positions.`;
}

function drawSentence(hypothesis) {
  const sentence = data.sentences[state.sentence];
  find("sentence").value = state.sentence;
  find("source").textContent = sentence.source;
  find("translation").textContent = hypothesis.text;
  find("score").textContent = hypothesis.score.toFixed(3);
  find("hypotheses").hidden = sentence.hypotheses.length < 2;
  if (find("hypotheses").dataset.sentence !== String(state.sentence)) {
    find("hypotheses").dataset.sentence = state.sentence;
    find("hypothesis-list").replaceChildren(
      ...sentence.hypotheses.map((other, number) => {
        const input = html("input", { type: "radio", name: "hypothesis", value: number, onchange: () => change({ hypothesis: number }) });
        const text = html("span", { dir: "auto" }, other.text);
        return html("label", {}, input, html("span", { class: "number" }, other.score.toFixed(3)), text);
      }),
    );
  }
  find("hypothesis-list").querySelectorAll("input").forEach((input, number) => {
    input.checked = number === state.hypothesis;
  });
}

function drawKinds(hypothesis, colours) {
  for (const kind of Object.keys(KINDS)) {
    const input = find(`kind-${kind}`);
    input.checked = kind === state.kind;
    input.disabled = kind !== "alignment" && !hypothesis.heads?.[kind];
    input.closest("label").hidden = Boolean(hypothesis.heads) && input.disabled;
  }
  find("no-heads").hidden = Boolean(hypothesis.heads);
  const picture = miniature(viewOf(hypothesis, { ...state, kind: "alignment" }).matrix, colours);
  find("alignment-picture").replaceChildren(picture);
}

/** Light up what the pointer or the keyboard is on, or else what is pinned. */
function point(here) {
  const shown = here ?? pinned;
  matrix.light(shown);
  lines.light(shown);
  const tip = find("tip");
  const text = shown ? textOf(shown) : "";
  find("readout").textContent = text || "Point at a cell or a word; click to pin it.";
  find("readout").classList.toggle("pinned", pinned !== null && shown === pinned);
  tip.hidden = !(here && here.row !== null && here.column !== null);
  if (!tip.hidden) {
    tip.textContent = text;
    const place = matrix.placeOf(here);
    tip.style.left = `${Math.min(place.x + 8, document.documentElement.clientWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${place.y + 8}px`;
  }
}

function textOf({ row, column }) {
  if (row !== null && column !== null) return describe(view, row, column, weightText(view, row, column));
  if (row !== null && row >= view.matrix.rows) return "";
  const cells = row !== null ? range(view.matrix.columns).map((j) => [row, j]) : range(view.matrix.rows).map((i) => [i, column]);
  const weightOf = ([i, j]) => view.matrix.values[i * view.matrix.columns + j];
  const ranked = cells.toSorted((a, b) => weightOf(b) - weightOf(a)).slice(0, 3);
  const verb = view.kind === "alignment" ? ["comes from", "goes to"] : ["looks at", "is looked at by"];
  const label = row !== null ? view.rowLabels[row] : view.columnLabels[column];
  const places = ranked.map(([i, j]) => `“${row !== null ? view.columnLabels[j] : view.rowLabels[i]}” ${weightText(view, i, j)}`);
  return `“${label}” ${verb[row !== null ? 0 : 1]} ${places.join(", ")}`;
}

function pin(here) {
  const same = pinned && pinned.row === here.row && pinned.column === here.column;
  pinned = same ? null : here;
  if (pinned && pinned.row !== null && view.kind !== "encoder" && pinned.row !== state.step) {
    state = { ...state, step: pinned.row };
    const walked = steps(hypothesisOf(data, state), view.unit);
    stepper.draw(walked, Math.min(state.step, walked.length - 1), view, tables[theme()]);
  }
  point(here);
}

/** The same numbers as a table, for screen readers and for copying; made only when it is opened. */
function drawTable() {
  const { rows, columns } = view.matrix;
  const head = html("tr", {}, html("td"), ...view.columnLabels.map((label) => html("th", { scope: "col", dir: "auto" }, label)));
  const body = range(rows).map((row) =>
    html("tr", {}, html("th", { scope: "row", dir: "auto" }, view.rowLabels[row]),
      ...range(columns).map((column) => html("td", {}, weightText(view, row, column)))));
  find("table-body").replaceChildren(html("table", {}, html("caption", {}, view.title), html("thead", {}, head), html("tbody", {}, ...body)));
}

find("sentence").replaceChildren(...data.sentences.map(({ source }, number) => html("option", { value: number }, `${number + 1}. ${source}`)));
find("sentence-choice").hidden = data.sentences.length < 2;
find("sentence").addEventListener("change", (event) => change({ sentence: Number(event.target.value), hypothesis: 0, step: 0 }));
for (const kind of Object.keys(KINDS)) find(`kind-${kind}`).addEventListener("change", () => change({ kind }));
for (const unit of ["words", "pieces"]) find(`unit-${unit}`).addEventListener("change", () => change({ unit, step: 0 }));
find("threshold").addEventListener("input", (event) => change({ threshold: Number(event.target.value) }, pinned));
find("table").addEventListener("toggle", () => find("table").open && drawTable());
find("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = theme() === "dark" ? "light" : "dark";
  draw();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  pinned = null;
  point(null);
});
prefersDark.addEventListener("change", draw);
addEventListener("beforeprint", () => { printing = true; draw(); });
addEventListener("afterprint", () => { printing = false; draw(); });
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) draw();
  width = innerWidth;
});
draw();
document.documentElement.dataset.ready = "true";
performance.mark("ready");
