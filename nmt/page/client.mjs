/** The engine as the page sees it: its worker, and the promises of what the worker was asked. */

/** @param source the worker's script @param models what `nmt.page.bundle.model_data` wrote, the default first */
export function engine(source, models) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  const waiting = new Map();
  const loaded = new Map();
  let calls = 0;

  worker.addEventListener("message", ({ data }) => {
    const { resolve, reject } = waiting.get(data.call);
    waiting.delete(data.call);
    if (data.error === undefined) resolve(data.result);
    else reject(new Error(data.error));
  });

  function ask(message) {
    calls += 1;
    const call = calls;
    return new Promise((resolve, reject) => {
      waiting.set(call, { resolve, reject });
      worker.postMessage({ call, ...message }, []);
    });
  }

  function load(model) {
    if (!loaded.has(model.name)) loaded.set(model.name, ask({ load: model }));
    return loaded.get(model.name);
  }

  async function askModel(method, model = models[0].name, ...given) {
    const found = models.find(({ name }) => name === model);
    if (!found) throw new RangeError(`there is no model ${model}; there are ${models.map(({ name }) => name).join(", ")}`);
    await load(found);
    return ask({ model, method, given });
  }

  /**
   * Translate a text: `await nmt.translate("Good morning.", {beam: 8, nBest: 3, model: "tatoeba-en-es"})`. Gives `model` and
   * what `Translator.translate` in translator.mjs gives, which lists the options too; each may be left out.
   */
  async function translate(text, { model = models[0].name, ...options } = {}) {
    return { ...(await askModel("translate", model, String(text), options)), model };
  }

  /** The loss of each piece of a given translation, `</s>` last: `await nmt.losses("Good.", ["▁Bien", "."], {off: [...]})`. */
  function losses(text, pieces, { model, ...options } = {}) {
    return askModel("losses", model, String(text), pieces, options);
  }

  /** A text as pieces, such as can be forced: `await nmt.pieces("Buenos días")`. */
  function piecesOf(text, { model } = {}) {
    return askModel("pieces", model, String(text));
  }

  return { translate, losses, pieces: piecesOf, models: models.map(({ name, source: from, target }) => ({ name, source: from, target })) };
}
