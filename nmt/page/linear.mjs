/** The arithmetic under every layer, on matrices [rows, width] in one Float32Array, row after row. */

import { multiply } from "./product.mjs";

/** y = x W^T + b: weight [outputs, inputs], bias [outputs] or null. */
export class Linear {
  constructor(weight, bias, inputs) {
    this.weight = weight;
    this.bias = bias;
    this.inputs = inputs;
    this.outputs = weight.length / inputs;
  }

  /** The layer of this name among a checkpoint's arrays. */
  static named(arrays, name) {
    const { values, shape } = arrays[`${name}.weight`];
    return new Linear(values, arrays[`${name}.bias`]?.values ?? null, shape[1]);
  }

  /** x [rows, inputs] to [rows, outputs]. */
  forward(x) {
    const { weight, bias, inputs, outputs } = this;
    const rows = x.length / inputs;
    const y = new Float32Array(rows * outputs);
    const done = multiply(x, weight, y, inputs);
    const whole = outputs - ((outputs - done) % 4);
    for (let o = done; o < whole; o += 4) {
      const [w0, w1, w2, w3] = [o * inputs, (o + 1) * inputs, (o + 2) * inputs, (o + 3) * inputs];
      for (let row = 0; row < rows; row += 1) {
        const first = row * inputs;
        let [s0, s1, s2, s3] = [0, 0, 0, 0];
        for (let i = 0; i < inputs; i += 1) {
          const value = x[first + i];
          s0 += value * weight[w0 + i];
          s1 += value * weight[w1 + i];
          s2 += value * weight[w2 + i];
          s3 += value * weight[w3 + i];
        }
        const out = row * outputs + o;
        y[out] = s0;
        y[out + 1] = s1;
        y[out + 2] = s2;
        y[out + 3] = s3;
      }
    }
    for (let o = whole; o < outputs; o += 1) {
      for (let row = 0; row < rows; row += 1) y[row * outputs + o] = dot(x, row * inputs, weight, o * inputs, inputs);
    }
    if (bias) {
      for (let first = 0; first < y.length; first += outputs) {
        for (let o = 0; o < outputs; o += 1) y[first + o] += bias[o];
      }
    }
    return y;
  }
}

/** The dot product of `length` numbers of a and of b. */
export function dot(a, startA, b, startB, length) {
  let total = 0;
  for (let i = 0; i < length; i += 1) total += a[startA + i] * b[startB + i];
  return total;
}

/** Layer normalization (Ba et al. 2016) of every row, with PyTorch's epsilon. */
export class LayerNorm {
  constructor(arrays, name) {
    this.weight = arrays[`${name}.weight`].values;
    this.bias = arrays[`${name}.bias`].values;
  }

  forward(x) {
    const width = this.weight.length;
    const y = new Float32Array(x.length);
    for (let first = 0; first < x.length; first += width) {
      let mean = 0;
      for (let i = 0; i < width; i += 1) mean += x[first + i];
      mean /= width;
      let variance = 0;
      for (let i = 0; i < width; i += 1) variance += (x[first + i] - mean) ** 2;
      const scale = 1 / Math.sqrt(variance / width + 1e-5);
      for (let i = 0; i < width; i += 1) y[first + i] = (x[first + i] - mean) * scale * this.weight[i] + this.bias[i];
    }
    return y;
  }
}

/** max(0, x), in place. */
export function relu(x) {
  for (let i = 0; i < x.length; i += 1) if (x[i] < 0) x[i] = 0;
  return x;
}

/** x + y, element by element. */
export function sum(x, y) {
  const z = new Float32Array(x.length);
  for (let i = 0; i < x.length; i += 1) z[i] = x[i] + y[i];
  return z;
}

/** Softmax in place of `length` numbers from `start`. */
export function softmax(x, start, length) {
  let highest = -Infinity;
  for (let i = start; i < start + length; i += 1) highest = Math.max(highest, x[i]);
  let total = 0;
  for (let i = start; i < start + length; i += 1) total += x[i] = Math.exp(x[i] - highest);
  for (let i = start; i < start + length; i += 1) x[i] /= total;
}

/** Log-softmax in place of every row of `width` numbers. */
export function logSoftmax(x, width) {
  for (let first = 0; first < x.length; first += width) {
    let highest = -Infinity;
    for (let i = first; i < first + width; i += 1) if (x[i] > highest) highest = x[i];
    let total = 0;
    for (let i = first; i < first + width; i += 1) total += Math.exp(x[i] - highest);
    const normalizer = highest + Math.log(total);
    for (let i = first; i < first + width; i += 1) x[i] -= normalizer;
  }
  return x;
}
