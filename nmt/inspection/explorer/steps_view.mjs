/** Decoding step by step: what is written so far, where the step looks, what else the model considered. */

import { html } from "./dom.mjs";
import { END, pieceLabel, readsRightToLeft } from "./model.mjs";
import { colourOf, formatWeight } from "./weights.mjs";

/**
 * @param onForce called with the number of a piece and another in its place, where the model can be made to write it
 * @param onWrite called with the number of a piece and the words that the reader wants there
 */
export function stepsView(holder, { onStep, onForce = null, onWrite = null }) {
  const slider = html("input", { type: "range", min: 0, step: 1, "aria-label": "decoding step", oninput: () => onStep(Number(slider.value)) });
  const back = html("button", { type: "button", onclick: () => onStep(Number(slider.value) - 1) }, "◀ back");
  const next = html("button", { type: "button", onclick: () => onStep(Number(slider.value) + 1) }, "next ▶");
  const caption = html("p", { class: "caption", "aria-live": "polite" });
  const target = html("p", { class: "strip target", "aria-label": "target" });
  const looks = html("p", { class: "strip looks", "aria-label": "where this step looks" });
  const considered = html("div", { class: "considered" });
  const words = html("input", { type: "text", dir: "auto", "aria-label": "words to write at this step", placeholder: "other words", onkeydown: (event) => event.key === "Enter" && write() });
  const own = html("p", { class: "own", hidden: !onWrite }, words, " ", html("button", { type: "button", onclick: () => write() }, "write them here"));
  holder.replaceChildren(html("div", { class: "controls" }, back, slider, next), caption, target, looks, considered, own);
  let first = 0;

  function write() {
    if (words.value.trim()) onWrite(first, words.value);
    words.value = "";
  }

  /** `view` is the matrix whose row `step` is shown; the first `forced` pieces were the reader's choice. */
  function draw(steps, step, view, colours, forced = 0) {
    slider.max = Math.max(steps.length - 1, 0);
    slider.value = step;
    slider.setAttribute("aria-valuetext", steps[step]?.label ?? "nothing");
    back.disabled = step <= 0;
    next.disabled = step >= steps.length - 1;
    target.dir = readsRightToLeft(steps.map(({ label }) => label)) ? "rtl" : "ltr";
    target.replaceChildren(
      ...steps.map(({ label }, number) =>
        html("button", {
          type: "button", class: number < step ? "word written" : "word", dir: "auto", tabindex: -1,
          "aria-current": number === step ? "step" : null, onclick: () => onStep(number),
        }, label)),
    );
    if (steps.length === 0) {
      caption.textContent = "Nothing was written.";
      looks.replaceChildren();
      considered.replaceChildren();
      return;
    }
    caption.textContent = `Step ${step + 1} of ${steps.length} writes “${steps[step].label}”. ${view.title} looks at:`;
    looks.dir = readsRightToLeft(view.columnLabels) ? "rtl" : "ltr";
    looks.replaceChildren(...lookedAt(view, step, colours));
    first = steps[step].pieces[0]?.number ?? first;
    considered.replaceChildren(...steps[step].pieces.map((piece) => candidatesOf(piece, piece.number < forced)));
  }

  function candidatesOf({ piece, number, candidates, others }, forced) {
    const tick = () => html("span", { class: "tick" }, forced ? " ✓ kept" : " ✓ chosen");
    const rows = candidates.map((candidate) => {
      const label = pieceLabel(candidate.piece);
      const name = onForce && !candidate.chosen
        ? html("button", { type: "button", class: "candidate", title: `write ${label} here and go on`, onclick: () => onForce(number, candidate.piece) }, label)
        : label;
      return candidateRow(candidate.probability, candidate.chosen, name, candidate.chosen ? tick() : "");
    });
    if (candidates.length === 0) rows.push(html("tr", {}, html("td", {}, "other candidates were not recorded")));
    else if (candidates.some(({ chosen }) => chosen)) rows.push(candidateRow(others, false, html("i", {}, "others")));
    else {
      const row = html("tr", { class: "chosen" }, html("th", { scope: "row" }, pieceLabel(piece), tick()), html("td", {}, "less likely than these"), html("td", {}));
      rows.push(row, candidateRow(others, false, html("i", {}, "others, including it")));
    }
    return html("table", {}, html("caption", {}, "considered for ", html("b", { dir: "auto" }, pieceLabel(piece))), html("tbody", {}, ...rows));
  }

  return { draw };
}

function candidateRow(probability, chosen, ...name) {
  const bar = html("span", { class: "bar" });
  bar.style.setProperty("--share", probability);
  return html("tr", { class: chosen ? "chosen" : null },
    html("th", { scope: "row", dir: "auto" }, ...name),
    html("td", {}, bar), html("td", { class: "number" }, `${(100 * probability).toFixed(1)} %`));
}

function lookedAt({ matrix, columnLabels }, row, colours) {
  if (row >= matrix.rows) return [html("span", {}, `the alignment has no row for ${END}`)];
  return columnLabels.map((label, column) => {
    const weight = matrix.values[row * matrix.columns + column];
    const chip = html("span", { class: "word", dir: "auto", title: formatWeight(weight) }, label);
    chip.append(html("small", {}, weight >= 0.05 ? weight.toFixed(2) : ""));
    chip.style.setProperty("--shade", colourOf(colours, weight));
    return chip;
  });
}
