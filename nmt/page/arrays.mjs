/** A checkpoint's weights out of the page: {name: {values: Float32Array, shape}}. */

import { room } from "./product.mjs";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";
const VALUES = new Uint8Array(128);
[...DIGITS].forEach((digit, value) => (VALUES[digit.charCodeAt(0)] = value));

/** Five digits are four bytes, the first digit and byte the highest, as `nmt.page.bundle` writes them. */
export function bytesFromBase85(text) {
  const length = Math.floor((text.length * 4) / 5);
  const view = new DataView(new ArrayBuffer(length + 4));
  for (let place = 0, digit = 0; digit < text.length; place += 4) {
    let number = 0;
    for (const end = digit + 5; digit < end; digit += 1) {
      number = number * 85 + (digit < text.length ? VALUES[text.charCodeAt(digit)] : 84);
    }
    view.setUint32(place, number);
  }
  return new Uint8Array(view.buffer.slice(0, length));
}

/** @param weights {tensors: [{name, shape, type, start}], bytes}, as `nmt.page.bundle.packed_arrays` writes it */
export async function loadArrays(weights) {
  const packed = new Blob([bytesFromBase85(weights.bytes)]).stream();
  const buffer = await new Response(packed.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  const take = room(weights.tensors.map(({ shape }) => sizeOf(shape)));
  return Object.fromEntries(
    weights.tensors.map(({ name, shape, type, start }) => {
      const values = take(sizeOf(shape));
      READERS[type](buffer, start, shape, values);
      return [name, { values, shape }];
    }),
  );
}

const READERS = { float32, float16, int8 };

function sizeOf(shape) {
  return shape.reduce((product, length) => product * length, 1);
}

function float32(buffer, start, shape, values) {
  values.set(new Float32Array(buffer, start, values.length));
}

function float16(buffer, start, shape, values) {
  new Uint16Array(buffer, start, values.length).forEach((half, i) => { values[i] = halfToNumber(half); });
}

/** Each row's scale in float32, then its numbers as multiples of it. */
function int8(buffer, start, [rows, columns], values) {
  const scales = new Float32Array(buffer, start, rows);
  const numbers = new Int8Array(buffer, start + 4 * rows, rows * columns);
  for (let row = 0; row < rows; row += 1) {
    for (let i = row * columns; i < (row + 1) * columns; i += 1) values[i] = numbers[i] * scales[row];
  }
}

/** IEEE 754 half precision: 1 bit of sign, 5 of exponent, 10 of fraction. */
function halfToNumber(bits) {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}
