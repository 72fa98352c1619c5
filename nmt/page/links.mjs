/** From attention to links, as nmt/alignment/links.py. A link is [source word, target word]. */

/** Of a target word's attention, what links a source word that no target word looks at most. */
const LEAST = 0.25;

/** Link each target word to the source word that it attends to most, unless that is the last column. */
export function argmaxLinks({ rows, columns, values }) {
  const links = [];
  for (let row = 0; row < rows; row += 1) {
    const weights = values.subarray(row * columns, (row + 1) * columns);
    const best = weights.indexOf(Math.max(...weights));
    if (best < columns - 1) links.push([best, row]);
  }
  return sorted(links);
}

/**
 * `argmaxLinks`, and from the other side each source word that these leave out with the target word that looks at it most, if
 * that gives it `LEAST` or more.
 * @param matrix [target words, source words + 1], the last column `</s>`
 */
export function attentionLinks(matrix) {
  const links = argmaxLinks(matrix);
  const { rows, columns, values } = matrix;
  const linked = new Set(links.map(([source]) => source));
  for (let source = 0; source < columns - 1; source += 1) {
    const looks = Array.from({ length: rows }, (_, row) => values[row * columns + source]);
    const most = Math.max(...looks);
    if (!linked.has(source) && most >= LEAST) links.push([source, looks.indexOf(most)]);
  }
  return sorted(links);
}

/** Links with a weight above the threshold; the matrix [target words, source words] has no last column. */
export function thresholdLinks({ columns, values }, threshold) {
  const links = [];
  values.forEach((value, cell) => value > threshold && links.push([cell % columns, Math.floor(cell / columns)]));
  return sorted(links);
}

export function sorted(links) {
  return links.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}
