/** All heads of one kind at a glance: a row of small pictures for each layer. */

import { clamp, html, moveOf } from "./dom.mjs";
import { KINDS, headView } from "./model.mjs";

export function thumbnails(holder, { onChoose }) {
  let buttons = [];
  let drawn = "";

  function draw(hypothesis, state, colours, theme) {
    const { kind } = state;
    holder.hidden = kind === "alignment";
    if (kind === "alignment") return;
    const { layers, heads } = hypothesis.heads[kind];
    const wanted = [state.sentence, state.hypothesis, kind, state.unit, theme].join();
    if (wanted !== drawn) {
      drawn = wanted;
      buttons = [];
      const rows = [];
      for (let layer = 0; layer < layers; layer += 1) {
        buttons.push([]);
        for (let head = 0; head < heads; head += 1) {
          const picture = miniature(headView(hypothesis, kind, layer, head, state.unit), colours);
          const label = `${KINDS[kind].name}, layer ${layer + 1}, head ${head + 1}`;
          buttons[layer].push(
            html("button", {
              type: "button", role: "radio", class: "thumbnail", "aria-label": label, title: label,
              "data-layer": layer, "data-head": head, onclick: () => onChoose(layer, head),
            }, picture),
          );
        }
        rows.push(html("span", { class: "layer" }, `layer ${layer + 1}`), ...buttons[layer]);
      }
      const columns = Array.from({ length: heads }, (_, head) => html("span", { class: "head" }, `${head + 1}`));
      holder.style.setProperty("--heads", heads);
      holder.setAttribute("aria-label", `${KINDS[kind].name}: ${layers} layers of ${heads} heads`);
      holder.replaceChildren(html("span", { class: "layer" }, "head"), ...columns, ...rows);
    }
    buttons.flat().forEach((button) => {
      const chosen = Number(button.dataset.layer) === state.layer && Number(button.dataset.head) === state.head;
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
    });
  }

  holder.addEventListener("keydown", (event) => {
    const move = moveOf(event);
    const button = event.target.closest(".thumbnail");
    if (!move || !button) return;
    event.preventDefault();
    const layer = clamp(Number(button.dataset.layer) + move[0], 0, buttons.length - 1);
    const head = clamp(Number(button.dataset.head) + move[1], 0, buttons[layer].length - 1);
    onChoose(layer, head);
    buttons[layer][head].focus();
  });

  return { draw };
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
