/** The alignment head, which links the words of a sentence to those of its translation, as nmt/alignment/head.py. */

import { matrix } from "../inspection/explorer/weights.mjs";
import { Linear, dot, relu } from "./linear.mjs";
import { thresholdLinks } from "./links.mjs";
import { rounded } from "./names.mjs";

/** Words of a sentence, at most: a longer pair has no links. */
const LONGEST = 512;
/** Relative positions further apart than this many words share one bias. */
const CLIP = 20;

export class Aligner {
  /**
   * @param arrays {name: {values, shape}}, named as in Python
   * @param settings {threshold, swapped}: links are the cells above the threshold; a swapped head reads (target, source)
   */
  constructor(arrays, subwords, { threshold, swapped }) {
    this.arrays = arrays;
    this.subwords = subwords;
    this.threshold = threshold;
    this.swapped = swapped;
    this.width = arrays.embedding.shape[1];
    const side = (name) => ({
      word: Linear.named(arrays, `${name}_word`),
      hidden: Linear.named(arrays, `${name}_context.0`),
      context: Linear.named(arrays, `${name}_context.2`),
    });
    [this.source, this.target] = [side("source"), side("target")];
  }

  /** {probabilities, links} of two lists of words: the probability of each link [target words, source words]. */
  alignWords(source, target) {
    const probabilities = matrix(target.length, source.length);
    const [first, second] = this.swapped ? [target, source] : [source, target];
    if (Math.min(first.length, second.length) > 0 && Math.max(first.length, second.length) <= LONGEST) {
      this.logits(first, second).values.forEach((logit, cell) => {
        const [row, column] = [Math.floor(cell / first.length), cell % first.length];
        const place = this.swapped ? column * source.length + row : cell;
        probabilities.values[place] = 1 / (1 + Math.exp(-logit));
      });
    }
    return { probabilities, links: thresholdLinks(probabilities, this.threshold) };
  }

  /** The logit of each link between words of the first language and of the second: [second, first]. */
  logits(first, second) {
    const { arrays, width } = this;
    const [x, y] = [this.embed(first), this.embed(second)];
    const scores = matrix(second.length, first.length);
    for (const [left, right] of [
      [this.target.word.forward(y), this.source.word.forward(x)],
      [this.inContext(this.target, y), this.inContext(this.source, x)],
    ]) {
      for (let cell = 0; cell < scores.values.length; cell += 1) {
        const [row, column] = [Math.floor(cell / scores.columns), cell % scores.columns];
        scores.values[cell] += dot(left, row * width, right, column * width, width);
      }
    }
    const [plain, scaled] = [arrays["positions.plain"].values, arrays["positions.scaled"].values];
    const ratio = Math.fround(second.length / first.length);
    for (let cell = 0; cell < scores.values.length; cell += 1) {
      const [row, column] = [Math.floor(cell / scores.columns), cell % scores.columns];
      const stretched = Math.fround(Math.fround((column + 0.5) * ratio) - (row + 0.5));
      const bias = plain[clipped(column - row)] + scaled[clipped(rounded(stretched))] + arrays.offset.values[0];
      scores.values[cell] = scores.values[cell] * width ** -0.5 + bias;
    }
    const neighbours = this.convolve(softmaxWithNull(scores, false), softmaxWithNull(scores, true));
    return matrix(scores.rows, scores.columns, scores.values.map((score, cell) => score + neighbours[cell]));
  }

  /** The sum of each word's pieces' embeddings: [words, width]. */
  embed(words) {
    const { values } = this.arrays.embedding;
    const vectors = new Float32Array(words.length * this.width);
    words.forEach((word, row) => {
      for (const piece of this.subwords.wordPieces(word)) {
        for (let i = 0; i < this.width; i += 1) vectors[row * this.width + i] += values[piece * this.width + i];
      }
    });
    return vectors;
  }

  /** Word vectors [words, width] with those of their neighbours on both sides: [words, width]. */
  inContext({ hidden, context }, vectors) {
    const { width } = this;
    const reach = (hidden.inputs / width - 1) / 2;
    const padded = new Float32Array(vectors.length + 2 * reach * width);
    padded.set(vectors, reach * width);
    const windows = new Float32Array((vectors.length / width) * hidden.inputs);
    for (let row = 0; row * width < vectors.length; row += 1) {
      windows.set(padded.subarray(row * width, row * width + hidden.inputs), row * hidden.inputs);
    }
    return context.forward(relu(hidden.forward(windows)));
  }

  /** Two maps [second, first] to one: each cell looks at those around it. */
  convolve(...maps) {
    const { "cells.weight": cells, "cells.bias": bias, "cells_out.weight": out, "cells_out.bias": outBias } = this.arrays;
    const [channels, , height, breadth] = cells.shape;
    const { rows, columns } = maps[0];
    const result = new Float32Array(rows * columns).fill(outBias.values[0]);
    for (let cell = 0; cell < result.length; cell += 1) {
      const [row, column] = [Math.floor(cell / columns), cell % columns];
      for (let channel = 0; channel < channels; channel += 1) {
        let sum = bias.values[channel];
        maps.forEach(({ values }, map) => {
          for (let i = 0; i < height * breadth; i += 1) {
            const [r, c] = [row + Math.floor(i / breadth) - (height >> 1), column + (i % breadth) - (breadth >> 1)];
            if (r < 0 || r >= rows || c < 0 || c >= columns) continue;
            sum += cells.values[(channel * maps.length + map) * height * breadth + i] * values[r * columns + c];
          }
        });
        result[cell] += out.values[channel] * Math.max(sum, 0);
      }
    }
    return result;
  }
}

function clipped(distance) {
  return Math.min(Math.max(distance, -CLIP), CLIP) + CLIP;
}

/** Softmax along each row, or each column, with one more score of 0, which is left out of the result. */
function softmaxWithNull({ rows, columns, values }, ofColumns) {
  const result = matrix(rows, columns);
  const [count, length, step, next] = ofColumns ? [columns, rows, columns, 1] : [rows, columns, 1, columns];
  for (let number = 0; number < count; number += 1) {
    const places = Array.from({ length }, (_, i) => number * next + i * step);
    const highest = Math.max(0, ...places.map((place) => values[place]));
    const powers = places.map((place) => Math.exp(values[place] - highest));
    const total = powers.reduce((sum, power) => sum + power, Math.exp(-highest));
    places.forEach((place, i) => { result.values[place] = powers[i] / total; });
  }
  return result;
}
