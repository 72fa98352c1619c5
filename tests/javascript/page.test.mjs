import assert from "node:assert/strict";
import { test } from "node:test";

import { hashOf, initialState, stateOf } from "../../nmt/page/address.mjs";
import { differences } from "../../nmt/page/differences.mjs";
import { Interventions } from "../../nmt/page/interventions.mjs";

function weights(edit, head, position) {
  const all = Float32Array.of(0.5, 0.25, 0.25, 0);
  edit(all, head, position);
  return [...all];
}

const initial = initialState({ name: "m", alignmentLayer: 2 }, "hello");

test("the hash gives the whole state back", () => {
  const state = {
    ...initial, text: "a&b #c 😀", forced: ["▁Ella", "▁le"], off: [{ kind: "cross", layer: 1, head: 2, by: "mean" }],
    moved: [{ step: 2, to: [3, 4], layer: 1 }, { step: 0, to: [1] }], head: 1, matter: true, beside: "text=x&off=cross.1.1.zero",
  };
  assert.deepEqual(stateOf(`#${hashOf(state, initial)}`, initial), state);
  assert.equal(hashOf(initial, initial), "");
});

test("a hash that says nothing that can be is left aside", () => {
  const state = stateOf("#beam=x&off=cross.a.b.zero+encoder.0.0.mean&moved=1&threshold=7&layer=-1&head=mean&other=1", initial);
  assert.deepEqual(state, { ...initial, off: [{ kind: "encoder", layer: 0, head: 0, by: "mean" }] });
});

test("words outside the longest common subsequence differ", () => {
  assert.deepEqual(differences(["a", "b", "c"], ["a", "x", "c", "d"]), [[false, true, false], [false, true, false, true]]);
});

test("interventions change only the weights that they are about", () => {
  const config = { type: "transformer", heads: 2, encoder_layers: 2, decoder_layers: 1, max_length: 9 };
  const changes = new Interventions({ off: [{ kind: "encoder", layer: 1, head: 0, by: "mean" }], moved: [{ step: 2, to: [1] }] }, config, 4);
  assert.equal(changes.of("encoder", 0), null);
  assert.equal(changes.of("decoder", 0), null);
  assert.deepEqual(weights(changes.of("encoder", 1), 0, 3), [0.25, 0.25, 0.25, 0.25]);
  assert.deepEqual(weights(changes.of("encoder", 1), 1, 3), [0.5, 0.25, 0.25, 0]);
  assert.deepEqual(weights(changes.of("cross", 0), 1, 2), [0, 1, 0, 0]);
  assert.deepEqual(weights(changes.of("cross", 0), 1, 1), [0.5, 0.25, 0.25, 0]);
});

test("interventions in what the model does not have are refused", () => {
  const config = { type: "transformer", heads: 2, encoder_layers: 2, decoder_layers: 1, max_length: 9 };
  for (const [off, moved] of [
    [[{ kind: "alignment", layer: 0, head: 0 }], []],
    [[{ kind: "cross", layer: 1, head: 0 }], []],
    [[{ kind: "cross", layer: 0, head: 0, by: "magic" }], []],
    [[], [{ step: 0, to: [4] }]],
    [[], [{ step: 0, to: [] }]],
  ]) assert.throws(() => new Interventions({ off, moved }, config, 4), RangeError);
});

test("what a recurrent model does not have is refused", () => {
  const config = { type: "rnnsearch", heads: 1, encoder_layers: 1, decoder_layers: 1, max_length: 9 };
  assert.equal(new Interventions({ off: [{ kind: "cross", layer: 0, head: 0 }] }, config, 4).off.length, 1);
  assert.throws(() => new Interventions({ off: [{ kind: "encoder", layer: 0, head: 0 }] }, config, 4), RangeError);
  assert.throws(() => new Interventions({ moved: [{ step: 0, to: [1] }] }, { ...config, type: "rnnencdec" }, 4), RangeError);
});
