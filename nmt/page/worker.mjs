/** The engine in a worker: it is sent {call, method, ...} and answers {call, result} or {call, error}. */

import { Translator } from "./translator.mjs";

const translators = new Map();

const methods = {
  load: async ({ model }) => {
    translators.set(model.name, await Translator.load(model));
  },
  translate: ({ model, text, options }) => translators.get(model).translate(text, options),
  pieces: ({ model, text }) => translators.get(model).pieces(text),
  losses: ({ model, text, pieces, options }) => translators.get(model).losses(text, pieces, options),
};

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ call: data.call, result: await methods[data.method](data) });
  } catch (error) {
    postMessage({ call: data.call, error: error.message });
  }
});
