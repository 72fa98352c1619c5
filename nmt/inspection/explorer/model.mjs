/** What is shown: from the page's data and the reader's choices to labelled matrices and decoding steps. No DOM here. */

import { aggregate, bytesFromBase64, groupsOfWords, headMatrix, matrix, LEVELS } from "./weights.mjs";

export const END = "</s>";
export const START = "<s>";

/** Names of the kinds of attention, in the order of the tabs: what looks, and at what. */
export const KINDS = {
  alignment: { name: "Alignment", rows: "target", columns: "source" },
  cross: { name: "Cross-attention", rows: "target", columns: "source" },
  encoder: { name: "Encoder self-attention", rows: "source", columns: "source" },
  decoder: { name: "Decoder self-attention", rows: "target", columns: "target so far" },
};

/** The reader's choices when the page opens: the alignment head comes first. */
export function initialState() {
  return { sentence: 0, hypothesis: 0, kind: "alignment", layer: 0, head: 0, unit: "words", threshold: 0.02, step: 0 };
}

/** The state with everything that does not exist in this data put right. */
export function settled(data, state) {
  const sentence = Math.min(state.sentence, data.sentences.length - 1);
  const hypothesis = Math.min(state.hypothesis, data.sentences[sentence].hypotheses.length - 1);
  const current = data.sentences[sentence].hypotheses[hypothesis];
  const kind = current.heads?.[state.kind] ? state.kind : "alignment";
  const unit = kind === "alignment" ? "words" : state.unit;
  const result = { ...state, sentence, hypothesis, kind };
  if (kind !== "alignment") {
    result.layer = Math.min(state.layer, current.heads[kind].layers - 1);
    result.head = Math.min(state.head, current.heads[kind].heads - 1);
  }
  result.step = Math.max(0, Math.min(state.step, steps(current, unit).length - 1));
  return result;
}

export function hypothesisOf(data, state) {
  return data.sentences[state.sentence].hypotheses[state.hypothesis];
}

/** The chosen matrix with all that a view needs to draw it. */
export function viewOf(hypothesis, state) {
  const { kind } = state;
  if (kind === "alignment") {
    return {
      kind,
      unit: "words",
      title: "Alignment",
      matrix: alignmentMatrix(hypothesis),
      rowLabels: hypothesis.targetWords,
      columnLabels: [...hypothesis.sourceWords, END],
      links: hypothesis.links.map(([source, target]) => [target, source]),
    };
  }
  return {
    kind,
    unit: state.unit,
    title: `${KINDS[kind].name}, layer ${state.layer + 1}, head ${state.head + 1}`,
    matrix: headView(hypothesis, kind, state.layer, state.head, state.unit),
    ...labelsOf(hypothesis, kind, state.unit),
    links: kind === "cross" && state.unit === "words" ? hypothesis.links.map(([source, target]) => [target, source]) : [],
  };
}

function alignmentMatrix(hypothesis) {
  const { rows, columns, weights } = hypothesis.attention;
  return matrix(rows, columns, Float32Array.from(bytesFromBase64(weights), (byte) => byte / LEVELS));
}

/** One head's weights over pieces or words. */
export function headView(hypothesis, kind, layer, head, unit) {
  const tensor = hypothesis.heads[kind];
  tensor.bytes ??= bytesFromBase64(tensor.weights);
  const pieces = headMatrix(tensor, layer, head);
  if (unit === "pieces") return pieces;
  const { row, column } = groups(hypothesis, kind);
  return aggregate(pieces, row, column);
}

function groups(hypothesis, kind) {
  const { sourceWordsOfPiece, targetWordsOfPiece } = hypothesis.heads;
  const source = groupsOfWords(sourceWordsOfPiece, hypothesis.sourceWords.length);
  const target = groupsOfWords(targetWordsOfPiece, hypothesis.targetWords.length);
  if (kind === "encoder") return { row: source, column: source };
  if (kind === "cross") return { row: target, column: source };
  // The decoder's j-th input is the piece before its j-th output, and <s> at the beginning.
  const inputs = [[], ...targetWordsOfPiece.slice(0, -1)];
  return { row: target, column: groupsOfWords(inputs, hypothesis.targetWords.length, true) };
}

function labelsOf(hypothesis, kind, unit) {
  const words = unit === "words";
  const source = words ? [...hypothesis.sourceWords, END] : hypothesis.heads.sourcePieces;
  const target = words ? [...hypothesis.targetWords, END] : hypothesis.heads.targetPieces;
  if (kind === "encoder") return { rowLabels: source, columnLabels: source };
  if (kind === "cross") return { rowLabels: target, columnLabels: source };
  return { rowLabels: target, columnLabels: words ? [START, ...hypothesis.targetWords] : [START, ...target.slice(0, -1)] };
}

/**
 * The decoding steps, one a target word (or piece), each with the pieces it wrote and, where known, what else the model
 * considered: [{label, pieces: [{piece, candidates: [{piece, probability, chosen}]}]}]. Step i belongs to row i of
 * the alignment, of cross-attention and of decoder self-attention.
 */
export function steps(hypothesis, unit) {
  if (!hypothesis.heads) return hypothesis.targetWords.map((label) => ({ label, pieces: [] }));
  const { targetPieces, targetWordsOfPiece, candidates } = hypothesis.heads;
  const written = targetPieces.map((piece, number) => ({
    piece,
    candidates: (candidates[number] ?? []).map(([text, logProbability]) => ({
      piece: text,
      probability: Math.exp(logProbability),
      chosen: text === piece,
    })),
  }));
  if (unit === "pieces") return written.map((one) => ({ label: one.piece, pieces: [one] }));
  return groupsOfWords(targetWordsOfPiece, hypothesis.targetWords.length).map((group, word) => ({
    label: hypothesis.targetWords[word] ?? END,
    pieces: group.map(([piece]) => written[piece]),
  }));
}

/** A sentence about one cell, for the tooltip and for screen readers. */
export function describe(view, row, column, text) {
  const linked = view.links.some(([i, j]) => i === row && j === column);
  const verb = view.kind === "alignment" ? "comes from" : "looks at";
  return `“${view.rowLabels[row]}” ${verb} “${view.columnLabels[column]}”: ${text}${linked ? ", linked" : ""}`;
}

/** Whether the words run from right to left: the first letter that has a direction decides, `<s>` and `</s>` aside. */
export function readsRightToLeft(labels) {
  const letter = labels.filter((label) => label !== START && label !== END).join(" ").match(/\p{L}/u);
  return letter !== null && /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u.test(letter[0]);
}
