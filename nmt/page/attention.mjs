/** Attention as in "Attention Is All You Need" (Vaswani et al. 2017, section 3.2), as nmt/models/attention.py. */

import { Linear, dot, softmax } from "./linear.mjs";

/** Section 3.2.2: `heads` attentions side by side; keys and values share one product. */
export class MultiHeadAttention {
  constructor(arrays, name, heads) {
    this.heads = heads;
    this.query = Linear.named(arrays, `${name}.query`);
    this.keyValue = Linear.named(arrays, `${name}.key_value`);
    this.output = Linear.named(arrays, `${name}.output`);
    this.keyWidth = this.query.outputs / heads;
    this.valueWidth = this.output.inputs / heads;
  }

  /** Keys and values of memory [source, width]: for each position heads * d_k numbers, then heads * d_v. */
  project(memory) {
    const product = this.keyValue.forward(memory);
    const width = this.keyValue.outputs;
    return Array.from({ length: product.length / width }, (_, row) => product.subarray(row * width, (row + 1) * width));
  }

  /**
   * Equation 1 for every head: softmax(Q K^T / sqrt(d_k)) V.
   * @param x [target, width], whose queries look
   * @param keysValuesOf gives for a row of x the projected positions that it may look at
   * @param weights [heads, target, columns], filled when given
   * @param edit changes a head's weights at a row in place, before the values are added up
   * @returns {Float32Array} [target, width]
   */
  forward(x, keysValuesOf, weights = null, edit = null) {
    const { heads, keyWidth, valueWidth } = this;
    const query = this.query.forward(x);
    const rows = query.length / (heads * keyWidth);
    const joined = new Float32Array(rows * heads * valueWidth);
    const columns = weights ? weights.length / (heads * rows) : 0;
    for (let row = 0; row < rows; row += 1) {
      const keysValues = keysValuesOf(row);
      const scores = new Float32Array(keysValues.length);
      for (let head = 0; head < heads; head += 1) {
        const first = (row * heads + head) * keyWidth;
        for (let j = 0; j < scores.length; j += 1) {
          scores[j] = dot(query, first, keysValues[j], head * keyWidth, keyWidth) / Math.sqrt(keyWidth);
        }
        softmax(scores, 0, scores.length);
        edit?.(scores, head, row);
        weights?.set(scores, (head * rows + row) * columns);
        const [out, value] = [(row * heads + head) * valueWidth, heads * keyWidth + head * valueWidth];
        for (let j = 0; j < scores.length; j += 1) {
          const [weight, values] = [scores[j], keysValues[j]];
          for (let i = 0; i < valueWidth; i += 1) joined[out + i] += weight * values[value + i];
        }
      }
    }
    return this.output.forward(joined);
  }
}
