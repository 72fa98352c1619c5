/** The engine in a worker: it is sent {call, load: model} or {call, model, method, given}, and answers {call, result} or {call, error}. */

import { Translator } from "./translator.mjs";

const translators = new Map();

addEventListener("message", async ({ data: { call, load, model, method, given } }) => {
  try {
    if (load) translators.set(load.name, await Translator.load(load));
    postMessage({ call, result: load ? null : translators.get(model)[method](...given) });
  } catch (error) {
    postMessage({ call, error: error.message });
  }
});
