/** The arithmetic of the page: weights out of bytes, words out of pieces, colours out of weights. No DOM here. */

/** Weights are stored as whole numbers from 0 to LEVELS: value = byte / LEVELS. */
export const LEVELS = 255;

/** @param {string} text base64 @returns {Uint8Array} */
export function bytesFromBase64(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** A matrix is {rows, columns, values}, row by row. */
export function matrix(rows, columns, values = new Float32Array(rows * columns)) {
  return { rows, columns, values };
}

/** The mean over a layer's heads, as a choice of head. */
export const MEAN = "mean";

/** The weights of one head, or `MEAN`. `tensor` is {layers, heads, rows, columns, values}, in this order of axes, or
 * has bytes in base64 as `weights`. */
export function headMatrix(tensor, layer, head) {
  const { heads, rows, columns } = tensor;
  tensor.values ??= Float32Array.from(bytesFromBase64(tensor.weights), (byte) => byte / LEVELS);
  const size = rows * columns;
  const first = layer * heads * size;
  if (head !== MEAN) return matrix(rows, columns, tensor.values.slice(first + head * size, first + (head + 1) * size));
  const result = matrix(rows, columns);
  for (let i = 0; i < heads * size; i += 1) result.values[i % size] += tensor.values[first + i] / heads;
  return result;
}

/**
 * For each word the pieces that belong to it with their shares, [[piece, share], ...]; a piece of several words is
 * shared equally. Pieces of no word (`</s>`, `<s>`) form one further group: last, or first when `specialFirst`.
 */
export function groupsOfWords(wordsOfPiece, wordCount, specialFirst = false) {
  const groups = Array.from({ length: wordCount }, () => []);
  const special = [];
  wordsOfPiece.forEach((words, piece) => {
    if (words.length === 0) special.push([piece, 1]);
    for (const word of words) groups[word].push([piece, 1 / words.length]);
  });
  return specialFirst ? [special, ...groups] : [...groups, special];
}

/** Attention over words: the mean over a row's pieces of the sum over a column's pieces. */
export function aggregate(pieces, rowGroups, columnGroups) {
  const result = matrix(rowGroups.length, columnGroups.length);
  rowGroups.forEach((rowGroup, row) => {
    const total = rowGroup.reduce((sum, [, share]) => sum + share, 0);
    columnGroups.forEach((columnGroup, column) => {
      let mass = 0;
      for (const [i, rowShare] of rowGroup) {
        for (const [j, columnShare] of columnGroup) mass += rowShare * columnShare * pieces.values[i * pieces.columns + j];
      }
      result.values[row * result.columns + column] = total > 0 ? mass / total : 0;
    });
  });
  return result;
}

/** The colour of a weight. `table` holds red, green, blue for each of 256 levels. */
export function colourOf(table, weight) {
  const level = 3 * Math.round(255 * Math.min(Math.max(weight, 0), 1));
  return `rgb(${table[level]} ${table[level + 1]} ${table[level + 2]})`;
}

export function formatWeight(weight) {
  return weight.toFixed(3);
}
