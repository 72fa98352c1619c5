/** What is shown: from the page's data and the reader's choices to labelled matrices and decoding steps. No DOM here. */

import { aggregate, bytesFromBase64, groupsOfWords, headMatrix, matrix, LEVELS, MEAN } from "./weights.mjs";

export const END = "</s>";
export const START = "<s>";

/** The kinds of attention, in the order of the tabs: what looks, at what, and what a row means. */
export const KINDS = {
  alignment: {
    name: "Alignment", rows: "target", columns: "source",
    meaning: "Each row is a target word: the stronger a cell, the more the network looked at that source word to write it. Boxes are links.",
  },
  cross: {
    name: "Cross-attention", rows: "target", columns: "source",
    meaning: "Each row is a step of the translation: the stronger a cell, the more the decoder looked at that source position.",
  },
  encoder: {
    name: "Encoder self-attention", rows: "source", columns: "source",
    meaning: "Each row is a source position: the stronger a cell, the more that other source position went into it.",
  },
  decoder: {
    name: "Decoder self-attention", rows: "target", columns: "written before",
    meaning: "Each row is a step of the translation: the stronger a cell, the more the decoder looked back at what it had written there.",
  },
};

/** The reader's choices when the page opens: the alignment comes first. */
export function initialState() {
  return { sentence: 0, hypothesis: 0, kind: "alignment", layer: 0, head: 0, unit: "words", threshold: 0.02, step: 0 };
}

/** The kinds that a hypothesis has weights of. */
export function kindsOf({ attention, heads }) {
  return Object.keys(KINDS).filter((kind) => (kind === "alignment" ? attention : heads?.[kind]));
}

/** The state with everything that does not exist in this data put right. */
export function settled(data, state) {
  const sentence = Math.min(state.sentence, data.sentences.length - 1);
  const hypothesis = Math.min(state.hypothesis, data.sentences[sentence].hypotheses.length - 1);
  const current = data.sentences[sentence].hypotheses[hypothesis];
  return { ...settledView(current, state), sentence, hypothesis };
}

/** The same of one hypothesis. */
export function settledView(hypothesis, state) {
  const kinds = kindsOf(hypothesis);
  const kind = kinds.includes(state.kind) ? state.kind : kinds[0];
  const unit = kind === "alignment" ? "words" : state.unit;
  const result = { ...state, kind };
  if (kind !== "alignment") {
    result.layer = Math.min(state.layer, hypothesis.heads[kind].layers - 1);
    if (state.head !== MEAN) result.head = Math.min(state.head, hypothesis.heads[kind].heads - 1);
  }
  result.step = Math.max(0, Math.min(state.step, steps(hypothesis, unit).length - 1));
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
      title: hypothesis.attentionName ? `Alignment: ${hypothesis.attentionName}` : "Alignment",
      matrix: alignmentMatrix(hypothesis),
      rowLabels: hypothesis.targetWords,
      columnLabels: [...hypothesis.sourceWords, END],
      links: hypothesis.links.map(([source, target]) => [target, source]),
      doubtful: hypothesis.doubtful,
    };
  }
  return {
    kind,
    unit: state.unit,
    title: headName(kind, state.layer, state.head, hypothesis.heads.guided),
    guided: isGuided(kind, state.layer, state.head, hypothesis.heads.guided),
    matrix: headView(hypothesis, kind, state.layer, state.head, state.unit),
    ...labelsOf(hypothesis, kind, state.unit),
    doubtful: KINDS[kind].rows === "target" && state.unit === "words" ? hypothesis.doubtful : [],
    links: kind === "cross" && state.unit === "words" ? (hypothesis.links ?? []).map(([source, target]) => [target, source]) : [],
  };
}

/** A head in words. `guided` lists those heads of cross-attention that training guided: [[layer, head]]. */
export function headName(kind, layer, head, guided) {
  const name = `${KINDS[kind].name}, layer ${layer + 1}, ${head === MEAN ? "mean of heads" : `head ${head + 1}`}`;
  return isGuided(kind, layer, head, guided) ? `${name} (guided)` : name;
}

function isGuided(kind, layer, head, guided = []) {
  return kind === "cross" && guided.some((one) => one[0] === layer && one[1] === head);
}

/** The view whose rows are the decoding steps: the chosen one, and beside the encoder's the best of the others. */
export function stepsViewOf(hypothesis, state) {
  if (state.kind !== "encoder") return viewOf(hypothesis, state);
  if (hypothesis.attention) return viewOf(hypothesis, { ...state, kind: "alignment" });
  return viewOf(hypothesis, { ...state, kind: "cross", layer: hypothesis.heads.cross.layers - 1, head: MEAN });
}

function alignmentMatrix(hypothesis) {
  const { rows, columns, weights } = hypothesis.attention;
  return matrix(rows, columns, Float32Array.from(bytesFromBase64(weights), (byte) => byte / LEVELS));
}

/** One head's weights over pieces or words. */
export function headView(hypothesis, kind, layer, head, unit) {
  const pieces = headMatrix(hypothesis.heads[kind], layer, head);
  if (unit === "pieces") return pieces;
  const { row, column } = groups(hypothesis, kind);
  return aggregate(pieces, row, column);
}

/** The pieces of each row and of each column of a view over words. */
export function groups(hypothesis, kind) {
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
  const source = words ? [...hypothesis.sourceWords, END] : hypothesis.heads.sourcePieces.map(pieceLabel);
  const target = words ? [...hypothesis.targetWords, END] : hypothesis.heads.targetPieces.map(pieceLabel);
  if (kind === "encoder") return { rowLabels: source, columnLabels: source };
  if (kind === "cross") return { rowLabels: target, columnLabels: source };
  return { rowLabels: target, columnLabels: words ? [START, ...hypothesis.targetWords] : [START, ...target.slice(0, -1)] };
}

/** A piece as it is shown: placeholders, which no font has, by what they stand for. */
export function pieceLabel(piece) {
  return piece.replace(/[\ue000-\ue007]/g, (slot) => {
    const number = slot.charCodeAt(0) - 0xe000;
    return `‹${number < 4 ? "name" : "number"}${number % 4 ? ` ${(number % 4) + 1}` : ""}›`;
  });
}

/**
 * The decoding steps, one a target word (or piece), each with the pieces it wrote and, where known, what else the model
 * considered: [{label, pieces: [{piece, number, candidates: [{piece, probability, chosen}], others}]}], `others` the
 * probability of all pieces that are not listed. Step i belongs to row i of the alignment, of cross-attention and of
 * decoder self-attention.
 */
export function steps(hypothesis, unit) {
  if (!hypothesis.heads) return hypothesis.targetWords.map((label) => ({ label, pieces: [] }));
  const { targetPieces, targetWordsOfPiece } = hypothesis.heads;
  const written = targetPieces.map((piece, number) => ({ piece, number, ...considered(hypothesis.heads, number) }));
  if (unit === "pieces") return written.map((one) => ({ label: pieceLabel(one.piece), pieces: [one] }));
  return groupsOfWords(targetWordsOfPiece, hypothesis.targetWords.length).map((group, word) => ({
    label: hypothesis.targetWords[word] ?? END,
    pieces: group.map(([piece]) => written[piece]),
  }));
}

function considered({ targetPieces, candidates, logProbabilities }, number) {
  const written = targetPieces[number];
  const listed = [...(candidates[number] ?? [])];
  if (logProbabilities && listed.every(([piece]) => piece !== written)) listed.push([written, logProbabilities[number]]);
  const all = listed.map(([piece, logProbability]) => ({ piece, probability: Math.exp(logProbability), chosen: piece === written }));
  return { candidates: all, others: Math.max(0, 1 - all.reduce((sum, { probability }) => sum + probability, 0)) };
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
