import assert from "node:assert/strict";
import { test } from "node:test";

import { choicesFromLink, debounced, linkFromChoices, linksOf, requestOf, viewOfAnswer } from "../../nmt/demo/static/requests.mjs";

test("a link gives back what it was made from", () => {
  const choices = { text: "¿Qué? <b>&\n100% + 1", model: "a b", other: "c", beam: 7, length_penalty: 0.5 };
  assert.deepEqual(choicesFromLink(linkFromChoices(choices)), choices);
});

test("what was not chosen is not in the link", () => {
  assert.equal(linkFromChoices({ text: "", model: null, beam: null }), "");
  assert.deepEqual(choicesFromLink(""), { text: "", model: null, other: null, beam: null, length_penalty: null });
});

test("nonsense in a link is ignored", () => {
  assert.equal(choicesFromLink("?beam=many&length_penalty=").beam, null);
  assert.equal(choicesFromLink("?beam=Infinity").beam, null);
});

test("requests leave defaults to the server", () => {
  assert.deepEqual(requestOf({ text: "x", beam: null, length_penalty: 0 }, "m"), { text: "x", model: "m", length_penalty: 0 });
});

test("only the last of several quick calls is made", () => {
  const pending = new Map();
  const timers = { setTimeout: (action) => { pending.set(pending.size, action); return pending.size - 1; }, clearTimeout: (id) => pending.delete(id) };
  const calls = [];
  const call = debounced((value) => calls.push(value), 80, timers);
  call(1);
  call(2);
  for (const action of pending.values()) action();
  assert.deepEqual(calls, [2]);
});

test("an answer becomes a matrix with links", () => {
  assert.deepEqual(linksOf("0-1 2-0"), [[1, 0], [0, 2]]);
  const view = viewOfAnswer({ source_words: ["a"], target_words: ["x", "y"], attention: [[0.25, 0.75], [1, 0]], alignment: "0-1" });
  assert.deepEqual([view.matrix.rows, view.matrix.columns, ...view.matrix.values], [2, 2, 0.25, 0.75, 1, 0]);
  assert.deepEqual(view.links, [[1, 0]]);
  assert.deepEqual(view.columnLabels, ["a", "</s>"]);
});

test("an answer without alignment has nothing to draw", () => {
  assert.equal(viewOfAnswer({ source_words: ["a"], target_words: ["x"], attention: null, alignment: null }), null);
});
