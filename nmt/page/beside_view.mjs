/** Another state beside the one that is shown: the translation with what differs, and the same view of its attention. */

import { html } from "../inspection/explorer/dom.mjs";
import { matrixView, weightText } from "../inspection/explorer/matrix_view.mjs";
import { describe, settledView, viewOf } from "../inspection/explorer/model.mjs";
import { differences } from "./differences.mjs";

/** @param parts the elements {title, text, score, matrix, readout} */
export function besideView(parts, { theme }) {
  let view = null;
  const matrix = matrixView(parts.matrix, { onPoint: point, onPin: () => {} });

  function point(here) {
    matrix.light(here);
    const inside = here && here.row !== null && here.column !== null;
    parts.readout.textContent = inside ? describe(view, here.row, here.column, weightText(view, here.row, here.column)) : "";
  }

  /** `other` is a translation, `shown` the one it is beside, `state` what is chosen of both, `open` whether to draw the matrix. */
  function draw(title, other, shown, state, open) {
    parts.title.textContent = title;
    const [marks] = differences(other.targetWords, shown.targetWords);
    parts.text.replaceChildren(...markedWords(other, marks));
    parts.score.textContent = `Score ${other.score.toFixed(2)}.`;
    parts.matrix.hidden = !other.heads?.cross;
    if (parts.matrix.hidden || !open) return;
    view = viewOf(other, settledView(other, state));
    matrix.draw(view, { threshold: state.threshold, colours: theme.colours() });
  }

  return { draw };
}

/** A translation's text with some of its words marked, as nodes; `wordNode` makes one of each word. */
export function markedWords({ text, targetWords }, marks, wordNode = (word) => word) {
  const parts = [];
  let place = 0;
  targetWords.forEach((word, number) => {
    const start = text.indexOf(word, place);
    parts.push(text.slice(place, start));
    const node = wordNode(word, number);
    parts.push(marks[number] ? html("mark", {}, node) : node);
    place = start + word.length;
  });
  return [...parts, text.slice(place)];
}
