/** What of a translation's attention is shown: a matrix over words, its labels, and what it is in words. No DOM here. */

import { END, KINDS, START } from "../inspection/explorer/model.mjs";
import { aggregate, groupsOfWords, matrix } from "../inspection/explorer/weights.mjs";

/** The mean over a layer's heads, as a choice of head. */
export const MEAN = "mean";

/** The weights of one head over pieces, or the mean over a layer's heads. */
export function piecesMatrix({ heads, rows, columns, values }, layer, head) {
  const size = rows * columns;
  const result = matrix(rows, columns);
  const chosen = head === MEAN ? Array.from({ length: heads }, (_, number) => number) : [head];
  for (const number of chosen) {
    const start = (layer * heads + number) * size;
    for (let i = 0; i < size; i += 1) result.values[i] += values[start + i] / chosen.length;
  }
  return result;
}

/** The chosen matrix over words, in the form that `matrixView` draws. `choice` is {kind, layer, head}. */
export function attentionView({ heads, sourceWords, targetWords }, { kind, layer, head }) {
  const source = groupsOfWords(heads.sourceWordsOfPiece, sourceWords.length);
  const target = groupsOfWords(heads.targetWordsOfPiece, targetWords.length);
  // The decoder's j-th input is the piece before its j-th output, and <s> at the beginning.
  const inputs = groupsOfWords([[], ...heads.targetWordsOfPiece.slice(0, -1)], targetWords.length, true);
  const rows = kind === "encoder" ? source : target;
  const columns = kind === "decoder" ? inputs : source;
  const which = head === MEAN ? "mean of heads" : `head ${head + 1}`;
  return {
    kind,
    unit: "words",
    title: `${KINDS[kind].name}, layer ${layer + 1}, ${which}`,
    matrix: aggregate(piecesMatrix(heads[kind], layer, head), rows, columns),
    rowLabels: [...(kind === "encoder" ? sourceWords : targetWords), END],
    columnLabels: kind === "decoder" ? [START, ...targetWords] : [...sourceWords, END],
    links: [],
  };
}

/** What a row and its colours mean. */
export function meaning(kind) {
  return {
    cross: "Each row is a word of the translation; the darker a cell, the more the model looked at that source word while writing it.",
    encoder: "Each row is a source word; the darker a cell, the more its representation was mixed with that other source word.",
    decoder: "Each row is a word of the translation; the darker a cell, the more the model looked back at that word that it had written.",
  }[kind];
}

/** The probability of each target word, the product of its pieces'. A piece that is no candidate counts as the last of
 * them, so that the word's is at most `probability`: `exact` is false. */
export function confidences({ heads, targetWords }) {
  const probabilities = heads.targetPieces.map((piece, step) => {
    const chosen = heads.candidates[step].find(([spelling]) => spelling === piece);
    return { probability: Math.exp((chosen ?? heads.candidates[step].at(-1))[1]), exact: Boolean(chosen) };
  });
  return groupsOfWords(heads.targetWordsOfPiece, targetWords.length)
    .slice(0, -1)
    .map((pieces) => ({
      probability: pieces.reduce((product, [piece]) => product * probabilities[piece].probability, 1),
      exact: pieces.every(([piece]) => probabilities[piece].exact),
    }));
}
