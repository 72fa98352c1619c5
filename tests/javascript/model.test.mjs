import assert from "node:assert/strict";
import { test } from "node:test";

import { describe, initialState, pieceLabel, readsRightToLeft, settled, steps, viewOf } from "../../nmt/inspection/explorer/model.mjs";

const base64 = (...bytes) => Buffer.from(bytes).toString("base64");
const tensor = (rows, columns, bytes) => ({ layers: 1, heads: 1, rows, columns, weights: base64(...bytes) });

/** “ab c” to “x”: source pieces a b c </s>, target pieces x </s>. */
function data({ heads = true } = {}) {
  return {
    sentences: [{
      source: "ab c",
      hypotheses: [{
        text: "x", score: -1, sourceWords: ["ab", "c"], targetWords: ["x"], links: [[1, 0]],
        attention: { rows: 1, columns: 3, weights: base64(51, 204, 0) },
        heads: heads && {
          sourcePieces: ["▁a", "b", "▁c", "</s>"], targetPieces: ["▁x", "</s>"],
          sourceWordsOfPiece: [[0], [0], [1], []], targetWordsOfPiece: [[0], []],
          encoder: tensor(4, 4, Array.from({ length: 16 }, () => 64)),
          decoder: tensor(2, 2, [255, 0, 51, 204]),
          cross: tensor(2, 4, [51, 51, 153, 0, 0, 0, 0, 255]),
          candidates: [[["▁x", Math.log(0.75)], ["▁y", Math.log(0.25)]], [["</s>", 0]]],
        },
      }],
    }],
  };
}

const round = (view) => [...view.matrix.values].map((value) => Math.round(value * 1000) / 1000);

test("the alignment is what the page opens with", () => {
  const found = data();
  const view = viewOf(found.sentences[0].hypotheses[0], settled(found, initialState()));
  assert.equal(view.title, "Alignment");
  assert.deepEqual(view.rowLabels, ["x"]);
  assert.deepEqual(view.columnLabels, ["ab", "c", "</s>"]);
  assert.deepEqual(round(view), [0.2, 0.8, 0]);
  assert.deepEqual(view.links, [[0, 1]]);
});

test("cross-attention over words and over pieces", () => {
  const [hypothesis] = data().sentences[0].hypotheses;
  const state = { ...initialState(), kind: "cross" };
  const words = viewOf(hypothesis, state);
  assert.deepEqual(words.columnLabels, ["ab", "c", "</s>"]);
  assert.deepEqual(words.rowLabels, ["x", "</s>"]);
  assert.deepEqual(round(words), [0.4, 0.6, 0, 0, 0, 1]);
  const pieces = viewOf(hypothesis, { ...state, unit: "pieces" });
  assert.deepEqual(pieces.columnLabels, ["▁a", "b", "▁c", "</s>"]);
  assert.deepEqual(pieces.links, []);
});

test("the decoder looks at <s> and at what it has written", () => {
  const [hypothesis] = data().sentences[0].hypotheses;
  for (const [unit, columns] of [["words", ["<s>", "x"]], ["pieces", ["<s>", "▁x"]]]) {
    const view = viewOf(hypothesis, { ...initialState(), kind: "decoder", unit });
    assert.deepEqual(view.columnLabels, columns);
    assert.deepEqual(round(view), [1, 0, 0.2, 0.8]);
  }
});

test("steps know the candidates and which one was chosen", () => {
  const [hypothesis] = data().sentences[0].hypotheses;
  const [first, last] = steps(hypothesis, "words");
  assert.equal(first.label, "x");
  assert.equal(last.label, "</s>");
  assert.deepEqual(first.pieces[0].candidates.map(({ piece, chosen }) => [piece, chosen]), [["▁x", true], ["▁y", false]]);
  assert.ok(Math.abs(first.pieces[0].candidates[1].probability - 0.25) < 1e-9);
});

test("without heads only the alignment can be chosen", () => {
  const found = data({ heads: false });
  assert.equal(settled(found, { ...initialState(), kind: "cross" }).kind, "alignment");
  assert.equal(steps(found.sentences[0].hypotheses[0], "words").length, 1);
});

test("choices beyond the data are put right", () => {
  const state = settled(data(), { ...initialState(), kind: "encoder", sentence: 9, hypothesis: 9, layer: 9, head: 9, step: 99 });
  assert.deepEqual([state.sentence, state.hypothesis, state.layer, state.head, state.step], [0, 0, 0, 0, 1]);
});

test("a cell is described in words", () => {
  const found = data();
  const view = viewOf(found.sentences[0].hypotheses[0], settled(found, initialState()));
  assert.equal(describe(view, 0, 1, "0.800"), "“x” comes from “c”: 0.800, linked");
});

test("the first letter decides the direction", () => {
  assert.equal(readsRightToLeft(["123", "שלום"]), true);
  assert.equal(readsRightToLeft(["?", "the", "שלום"]), false);
  assert.equal(readsRightToLeft([]), false);
  assert.equal(readsRightToLeft(["<s>", "שלום"]), true); // the columns of decoder self-attention
  assert.equal(readsRightToLeft(["<s>", "</s>"]), false);
});

test("a kind of attention that the model does not have is not offered", () => {
  const found = data();
  delete found.sentences[0].hypotheses[0].heads.encoder;
  assert.equal(settled(found, { ...initialState(), kind: "encoder" }).kind, "alignment");
  assert.equal(settled(found, { ...initialState(), kind: "cross" }).kind, "cross");
});

test("placeholders are shown by what they stand for", () => {
  assert.deepEqual(["▁casa", "\ue000", "▁\ue001", "\ue004", "\ue007"].map(pieceLabel), ["▁casa", "‹name›", "▁‹name 2›", "‹number›", "‹number 4›"]);
  const [hypothesis] = data().sentences[0].hypotheses;
  hypothesis.heads.targetPieces[0] = "\ue000";
  const state = { ...initialState(), kind: "cross", unit: "pieces" };
  assert.equal(viewOf(hypothesis, state).rowLabels[0], "‹name›");
  assert.equal(steps(hypothesis, "pieces")[0].label, "‹name›");
  assert.equal(steps(hypothesis, "pieces")[0].pieces[0].piece, "\ue000"); // what forcing it takes
});
