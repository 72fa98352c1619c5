/** All heads of one kind at a glance: a row of small pictures for each layer. */

import { clamp, html, moveOf } from "./dom.mjs";
import { KINDS, headName, headView } from "./model.mjs";
import { MEAN } from "./weights.mjs";

/** @param onChoose called with kind, layer and head @param means whether each layer's mean has a picture too */
export function thumbnails(holder, { onChoose, means = false }) {
  let buttons = [];
  let drawn = null;

  /** `marks` by "kind.layer.head": {off, gain}, whether the head is switched off, and what its loss would cost. */
  function draw(hypothesis, state, colours, marks) {
    holder.hidden = !hypothesis.heads;
    if (!hypothesis.heads) return;
    // The alignment has no heads; those that it was learnt from are the decoder's view of the source.
    const kind = state.kind === "alignment" ? "cross" : state.kind;
    if (drawn?.hypothesis !== hypothesis || drawn.colours !== colours || drawn.kind !== kind || drawn.unit !== state.unit) {
      drawn = { hypothesis, colours, kind, unit: state.unit };
      make(hypothesis, kind, state.unit, colours);
    }
    for (const button of buttons.flat()) {
      const [layer, head] = placeOf(button);
      const chosen = state.kind === kind && layer === state.layer && head === state.head;
      const { off, gain } = marks[`${kind}.${layer}.${head}`] ?? {};
      const name = headName(kind, layer, head, hypothesis.heads.guided) + (off ? ", switched off" : "") + (gain ? `, loss ${gain} without it` : "");
      button.setAttribute("aria-label", name);
      button.title = name;
      button.classList.toggle("off", Boolean(off));
      button.classList.toggle("matters", Boolean(gain));
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
    }
    if (!buttons.flat().some((button) => button.tabIndex === 0)) buttons[0][0].tabIndex = 0;
  }

  function make(hypothesis, kind, unit, colours) {
    const { layers, heads } = hypothesis.heads[kind];
    const numbers = Array.from({ length: heads }, (_, head) => head);
    const shown = means ? [MEAN, ...numbers] : numbers;
    buttons = Array.from({ length: layers }, (_, layer) =>
      shown.map((head) =>
        html("button", {
          type: "button", role: "radio", class: "thumbnail", "data-layer": layer, "data-head": head,
          onclick: () => onChoose(kind, layer, head),
        }, miniature(headView(hypothesis, kind, layer, head, unit), colours))),
    );
    const names = shown.map((head) => html("span", { class: "head" }, head === MEAN ? "mean" : `${head + 1}`));
    const rows = buttons.flatMap((row, layer) => [html("span", { class: "layer" }, `layer ${layer + 1}`), ...row]);
    holder.style.setProperty("--heads", shown.length);
    holder.setAttribute("aria-label", `${KINDS[kind].name}: ${layers} layers of ${heads} heads`);
    holder.replaceChildren(html("span", { class: "layer" }, "head"), ...names, ...rows);
  }

  holder.addEventListener("keydown", (event) => {
    const move = moveOf(event);
    const button = event.target.closest(".thumbnail");
    if (!move || !button) return;
    event.preventDefault();
    const row = buttons.findIndex((one) => one.includes(button));
    const next = buttons[clamp(row + move[0], 0, buttons.length - 1)];
    const to = next[clamp(buttons[row].indexOf(button) + move[1], 0, next.length - 1)];
    to.focus();
    onChoose(drawn.kind, ...placeOf(to));
  });

  return { draw };
}

function placeOf({ dataset }) {
  return [Number(dataset.layer), dataset.head === MEAN ? MEAN : Number(dataset.head)];
}

/** A matrix as a picture of one pixel a cell. */
export function miniature({ rows, columns, values }, colours) {
  const canvas = html("canvas", { width: Math.max(columns, 1), height: Math.max(rows, 1), "aria-hidden": "true" });
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(canvas.width, canvas.height);
  values.forEach((weight, position) => {
    const level = 3 * Math.round(255 * Math.min(weight, 1));
    image.data.set([colours[level], colours[level + 1], colours[level + 2], 255], 4 * position);
  });
  pen.putImageData(image, 0, 0);
  return canvas;
}
