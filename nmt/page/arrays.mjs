/** A checkpoint's weights out of the page: {name: {values: Float32Array, shape}}. */

import { bytesFromBase64 } from "../inspection/explorer/weights.mjs";

/** @param weights {tensors: [{name, shape, type, start}], bytes}, as `nmt.page.export.packed_arrays` writes it */
export function loadArrays(weights) {
  const { buffer } = bytesFromBase64(weights.bytes);
  return Object.fromEntries(
    weights.tensors.map(({ name, shape, type, start }) => [name, { values: READERS[type](buffer, start, shape), shape }]),
  );
}

const READERS = { float32, float16, int8 };

function sizeOf(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

function float32(buffer, start, shape) {
  return new Float32Array(buffer, start, sizeOf(shape));
}

function float16(buffer, start, shape) {
  return Float32Array.from(new Uint16Array(buffer, start, sizeOf(shape)), halfToNumber);
}

/** Each row's scale in float32, then its numbers as multiples of it. */
function int8(buffer, start, shape) {
  const [rows, columns] = shape;
  const scales = new Float32Array(buffer, start, rows);
  const numbers = new Int8Array(buffer, start + 4 * rows, rows * columns);
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let i = row * columns; i < (row + 1) * columns; i += 1) values[i] = numbers[i] * scales[row];
  }
  return values;
}

/** IEEE 754 half precision: 1 bit of sign, 5 of exponent, 10 of fraction. */
function halfToNumber(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
