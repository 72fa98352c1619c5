/** The chosen head large, all heads small, and the decoding steps: what panel.html holds, drawn from one hypothesis. */

import { html } from "./dom.mjs";
import { linesView } from "./lines_view.mjs";
import { matrixView, weightText } from "./matrix_view.mjs";
import { KINDS, describe, groups, kindsOf, settledView, steps, stepsViewOf, viewOf } from "./model.mjs";
import { stepsView } from "./steps_view.mjs";
import { miniature, thumbnails } from "./thumbnails.mjs";

const find = (id) => document.getElementById(id);
const range = (count) => Array.from({ length: count }, (_, i) => i);

/**
 * @param onChange called with the choices that the reader has changed: {kind, layer, head, unit, threshold, step}
 * @param acts what the reader may do to the model, where that is possible: {onForce, onWrite, onMove}, see the views, and
 *     onPin, called with what is pinned or null
 */
export function attentionPanel({ theme, onChange, acts = {} }) {
  let hypothesis = null;
  let state = null;
  let view = null;
  let pinned = null;

  const matrix = matrixView(find("matrix"), { onPoint: point, onPin: pin, onMove: acts.onMove });
  const lines = linesView(find("lines"), { onPoint: point, onPin: pin });
  const stepper = stepsView(find("stepper"), { onStep: (step) => change({ step }, { row: step, column: null }), onForce: acts.onForce, onWrite: acts.onWrite });
  const heads = thumbnails(find("thumbnails"), { onChoose: (kind, layer, head) => change({ kind, layer, head }), means: Boolean(acts.onMove) });

  /** `keep` stays lit afterwards. */
  function change(choices, keep = null) {
    pinned = keep;
    onChange(choices);
  }

  /**
   * @param next the reader's choices, which `settledView` may put right: the choices that are shown are returned
   * @param marks what the reader has done: {heads: {"kind.layer.head": {off, gain}}, moved: [[row, column]], forced}
   */
  function draw(shown, next, marks = {}) {
    hypothesis = shown;
    state = settledView(hypothesis, next);
    const colours = theme.colours();
    view = { ...viewOf(hypothesis, state), moved: marks.moved ?? [] };
    find("title").textContent = view.title;
    find("meaning").textContent = KINDS[view.kind].meaning + (view.guided ? " Training guided this head to the words that translate each other." : "");
    find("link-legend").hidden = view.links.length === 0;
    drawKinds(colours);
    heads.draw(hypothesis, state, colours, marks.heads ?? {});
    for (const unit of ["words", "pieces"]) {
      const button = find(`unit-${unit}`);
      button.checked = view.unit === unit;
      button.disabled = view.kind === "alignment" && unit === "pieces";
    }
    find("threshold").value = state.threshold;
    find("threshold-value").textContent = state.threshold.toFixed(2);
    matrix.draw(view, { threshold: state.threshold, colours });
    lines.draw(view, { threshold: state.threshold });
    drawSteps(marks.forced ?? 0);
    if (find("table").open) drawTable();
    if (pinned && (pinned.row >= view.matrix.rows || pinned.column >= view.matrix.columns)) pinned = null;
    point(null);
    return state;
  }

  function drawSteps(forced) {
    const shown = stepsViewOf(hypothesis, state);
    const walked = steps(hypothesis, shown.unit);
    stepper.draw(walked, Math.min(state.step, walked.length - 1), shown, theme.colours(), forced);
  }

  function drawKinds(colours) {
    const there = kindsOf(hypothesis);
    for (const kind of Object.keys(KINDS)) {
      const input = find(`kind-${kind}`);
      input.checked = kind === state.kind;
      input.disabled = !there.includes(kind);
      input.closest("label").hidden = Boolean(hypothesis.heads) && input.disabled;
    }
    find("no-heads").hidden = Boolean(hypothesis.heads);
    if (!there.includes("alignment")) return;
    find("alignment-picture").replaceChildren(miniature(viewOf(hypothesis, { ...state, kind: "alignment" }).matrix, colours));
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
    if (pinned && pinned.row !== null && view.kind !== "encoder" && pinned.row !== state.step) onChange({ step: pinned.row });
    acts.onPin?.(pinned);
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

  /** Light up a target word, or nothing for null, as if the pointer were on its label. */
  function pointAtWord(word) {
    if (word === null || view.kind === "encoder") return point(null);
    const row = view.unit === "words" ? word : (groups(hypothesis, view.kind).row[word][0]?.[0] ?? null);
    return point(row === null ? null : { row, column: null });
  }

  function unpin() {
    pinned = null;
    acts.onPin?.(null);
    point(null);
  }

  for (const kind of Object.keys(KINDS)) find(`kind-${kind}`).addEventListener("change", () => change({ kind }));
  for (const unit of ["words", "pieces"]) find(`unit-${unit}`).addEventListener("change", () => change({ unit, step: 0 }));
  find("threshold").addEventListener("input", (event) => change({ threshold: Number(event.target.value) }, pinned));
  find("table").addEventListener("toggle", () => find("table").open && drawTable());
  document.addEventListener("keydown", (event) => event.key === "Escape" && unpin());

  return { draw, pointAtWord, unpin };
}
