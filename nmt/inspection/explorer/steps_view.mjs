/** Decoding step by step: what is written so far, where the step looks, what else the model considered. */

import { html } from "./dom.mjs";
import { END, readsRightToLeft } from "./model.mjs";
import { colourOf, formatWeight } from "./weights.mjs";

export function stepsView(holder, { onStep }) {
  const slider = html("input", { type: "range", min: 0, step: 1, "aria-label": "decoding step", oninput: () => onStep(Number(slider.value)) });
  const back = html("button", { type: "button", onclick: () => onStep(Number(slider.value) - 1) }, "◀ back");
  const next = html("button", { type: "button", onclick: () => onStep(Number(slider.value) + 1) }, "next ▶");
  const caption = html("p", { class: "caption", "aria-live": "polite" });
  const target = html("p", { class: "strip target", "aria-label": "target" });
  const looks = html("p", { class: "strip looks", "aria-label": "where this step looks" });
  const considered = html("div", { class: "considered" });
  holder.replaceChildren(html("div", { class: "controls" }, back, slider, next), caption, target, looks, considered);

  /** `view` is the matrix whose row `step` is shown. */
  function draw(steps, step, view, colours) {
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
    caption.textContent = `Step ${step + 1} of ${steps.length} writes “${steps[step].label}” and looks (${view.title}) at:`;
    looks.dir = readsRightToLeft(view.columnLabels) ? "rtl" : "ltr";
    looks.replaceChildren(...lookedAt(view, step, colours));
    considered.replaceChildren(...steps[step].pieces.map(candidatesOf));
  }

  return { draw };
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

function candidatesOf({ piece, candidates }) {
  const rows = candidates.map((candidate) => {
    const percent = `${(100 * candidate.probability).toFixed(1)} %`;
    const bar = html("span", { class: "bar" });
    bar.style.setProperty("--share", candidate.probability);
    return html("tr", { class: candidate.chosen ? "chosen" : null },
      html("th", { scope: "row", dir: "auto" }, candidate.piece, candidate.chosen ? html("span", { class: "tick" }, " ✓ chosen") : ""),
      html("td", {}, bar), html("td", { class: "number" }, percent));
  });
  if (candidates.length > 0 && !candidates.some((candidate) => candidate.chosen)) {
    rows.push(html("tr", { class: "chosen" }, html("th", { scope: "row" }, piece, html("span", { class: "tick" }, " ✓ chosen")),
      html("td", {}, "less likely than these"), html("td", {})));
  }
  if (rows.length === 0) rows.push(html("tr", {}, html("td", {}, "other candidates were not recorded")));
  return html("table", {}, html("caption", {}, "considered for ", html("b", { dir: "auto" }, piece)), html("tbody", {}, ...rows));
}
