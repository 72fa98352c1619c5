/** How well a decoder's state matches each source position, as nmt/models/scores.py. */

import { Linear, dot, softmax } from "./linear.mjs";

export class Score {
  constructor(kind, arrays) {
    this.kind = kind;
    this.key = kind === "dot" ? null : Linear.named(arrays, "score.key");
    if (kind !== "additive") return;
    const { values, shape } = arrays["score.query_weight"];
    this.query = new Linear(values, null, shape[1]);
    this.vector = arrays["score.vector"].values;
  }

  /** Annotations [source, annotation width] to keys [source, width]. */
  project(annotations) {
    return this.key ? this.key.forward(annotations) : annotations;
  }

  /** The weights of each source position for states [rows, width] (Bahdanau et al. 2015, equation 6): [rows, source]. */
  forward(states, keys, width) {
    const query = this.query ? this.query.forward(states) : states;
    const [rows, columns] = [query.length / width, keys.length / width];
    const weights = new Float32Array(rows * columns);
    for (let row = 0; row < rows; row += 1) {
      for (let column = 0; column < columns; column += 1) {
        weights[row * columns + column] = this.scoreOf(query, row * width, keys, column * width, width);
      }
      softmax(weights, row * columns, columns);
    }
    return weights;
  }

  /** additive: v_a^T tanh(W_a s + U_a h) (appendix A.1.2); else s^T h, with keys W_a h Luong's general score. */
  scoreOf(query, q, keys, k, width) {
    if (this.kind !== "additive") return dot(query, q, keys, k, width);
    let total = 0;
    for (let i = 0; i < width; i += 1) total += this.vector[i] * Math.tanh(query[q + i] + keys[k + i]);
    return total;
  }
}
