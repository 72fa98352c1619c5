import assert from "node:assert/strict";
import { test } from "node:test";

import {
  aggregate, bytesFromBase64, colourOf, formatWeight, groupsOfWords, headMatrix, matrix,
} from "../../nmt/inspection/explorer/weights.mjs";

const base64 = (bytes) => Buffer.from(bytes).toString("base64");

test("base64 gives back every byte", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(bytesFromBase64(base64(bytes)), bytes);
});

test("a head's matrix is cut out of the right place", () => {
  const [layers, heads, rows, columns] = [2, 3, 2, 4];
  const bytes = Uint8Array.from({ length: layers * heads * rows * columns }, (_, i) => i);
  const found = headMatrix({ layers, heads, rows, columns, weights: base64(bytes) }, 1, 2);
  assert.deepEqual([found.rows, found.columns], [2, 4]);
  assert.deepEqual([...found.values].map((value) => Math.round(value * 255)), [40, 41, 42, 43, 44, 45, 46, 47]);
});

test("quantised weights are within 1/510 of the weight", () => {
  for (let weight = 0; weight <= 1; weight += 0.00137) {
    const bytes = Uint8Array.of(Math.round(weight * 255));
    const [value] = headMatrix({ layers: 1, heads: 1, rows: 1, columns: 1, weights: base64(bytes) }, 0, 0).values;
    assert.ok(Math.abs(value - weight) <= 1 / 510 + 1e-7);
  }
});

test("words gather their pieces, and pieces without a word come last or first", () => {
  assert.deepEqual(groupsOfWords([[0], [0], [1, 2], []], 3), [[[0, 1], [1, 1]], [[2, 0.5]], [[2, 0.5]], [[3, 1]]]);
  assert.deepEqual(groupsOfWords([[], [0]], 1, true), [[[0, 1]], [[1, 1]]]);
});

test("aggregation sums a column word's pieces and averages a row word's", () => {
  const pieces = matrix(3, 3, Float32Array.of(0.5, 0.25, 0.25, 0, 1, 0, 0.1, 0.2, 0.7));
  const words = aggregate(pieces, groupsOfWords([[0], [0], []], 1), groupsOfWords([[0], [0], []], 1));
  assert.deepEqual([words.rows, words.columns], [2, 2]);
  [0.875, 0.125, 0.3, 0.7].forEach((value, i) => assert.ok(Math.abs(words.values[i] - value) < 1e-6));
});

test("rows that sum to one still do after aggregation", () => {
  const [rows, columns] = [7, 9];
  const values = Float32Array.from({ length: rows * columns }, (_, i) => ((i * 7919) % 97) + 1);
  for (let row = 0; row < rows; row += 1) {
    const total = values.subarray(row * columns, (row + 1) * columns).reduce((a, b) => a + b);
    for (let column = 0; column < columns; column += 1) values[row * columns + column] /= total;
  }
  const words = aggregate(
    matrix(rows, columns, values),
    groupsOfWords([[0], [0, 1], [1], [2], [2], [3], []], 4),
    groupsOfWords([[0], [1], [1], [1, 2, 3], [3], [4], [4], [4], []], 5),
  );
  for (let row = 0; row < words.rows; row += 1) {
    const total = words.values.subarray(row * words.columns, (row + 1) * words.columns).reduce((a, b) => a + b);
    assert.ok(Math.abs(total - 1) < 1e-6);
  }
});

test("a word without pieces gives a row of zeros, not of NaN", () => {
  const words = aggregate(matrix(1, 1, Float32Array.of(1)), groupsOfWords([[]], 1), groupsOfWords([[]], 0));
  assert.deepEqual([...words.values], [0, 1]);
});

test("colours come from the table, weights beyond the scale are clipped", () => {
  const table = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  assert.equal(colourOf(table, 0.5), "rgb(128 128 128)");
  assert.equal(colourOf(table, 1.2), "rgb(255 255 255)");
  assert.equal(colourOf(table, -1), "rgb(0 0 0)");
});

test("weights are shown with three decimals", () => {
  assert.equal(formatWeight(138 / 255), "0.541");
});
