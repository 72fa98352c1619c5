/** Changes to attention weights: heads switched off, and rows that look elsewhere. */

/** How a head is switched off: its output is zero, or the mean of the values that it may look at. */
export const ABLATIONS = ["zero", "mean"];
/** The kinds of attention, and the field of a checkpoint's `model` section that says how many layers there are. */
const LAYERS = { encoder: "encoder_layers", decoder: "decoder_layers", cross: "decoder_layers" };
/** The kinds of attention of each network. */
const KINDS = { transformer: Object.keys(LAYERS), rnnsearch: ["cross"], rnnencdec: [] };

export class Interventions {
  /**
   * @param given.off heads switched off: [{kind, layer, head, by}], `by` one of `ABLATIONS`, zero by default
   * @param given.moved rows of cross-attention with their whole weight elsewhere: [{step, to, layer, head}]. `step` is
   *     the target piece, `to` the source pieces that share the weight; every layer, every head where left out
   * @param config the checkpoint's `model` section
   * @throws {RangeError} for what the model does not have
   */
  constructor({ off = [], moved = [] }, config, sourcePieces) {
    const kinds = KINDS[config.type];
    if (kinds.length === 0 && off.length + moved.length > 0) throw new RangeError("the model has no attention to change");
    for (const { kind, layer, head, by = "zero" } of off) {
      if (!kinds.includes(kind)) throw new RangeError(`there is no kind of attention ${kind}; there are ${kinds.join(", ")}`);
      if (!ABLATIONS.includes(by)) throw new RangeError(`a head is switched off by ${ABLATIONS.join(" or ")}, not by ${by}`);
      check(`${kind} layer`, layer, config[LAYERS[kind]]);
      check("head", head, config.heads);
    }
    for (const { step, to, layer, head } of moved) {
      check("step", step, config.max_length);
      if (!Array.isArray(to) || to.length === 0) throw new RangeError("`to` of a moved row lists source pieces; it is empty");
      for (const piece of to) check("source piece", piece, sourcePieces);
      if (layer !== undefined) check("cross layer", layer, config.decoder_layers);
      if (head !== undefined) check("head", head, config.heads);
    }
    this.off = off;
    this.moved = moved;
  }

  /**
   * What is done to one layer's attention: a function of a head's softmax weights at a position, which it changes in
   * place, or null where there is nothing to do.
   */
  of(kind, layer) {
    const off = this.off.filter((one) => one.kind === kind && one.layer === layer);
    const moved = kind === "cross" ? this.moved.filter((one) => (one.layer ?? layer) === layer) : [];
    if (off.length + moved.length === 0) return null;
    return (weights, head, position) => {
      const move = moved.find((one) => one.step === position && (one.head ?? head) === head);
      if (move) {
        weights.fill(0);
        for (const piece of move.to) weights[piece] += 1 / move.to.length;
      }
      const ablated = off.find((one) => one.head === head);
      if (ablated) weights.fill(ablated.by === "mean" ? 1 / weights.length : 0);
    };
  }
}

function check(what, value, count) {
  if (!(Number.isInteger(value) && value >= 0 && value < count)) {
    throw new RangeError(`there is no ${what} ${value}; they are numbered from 0 to ${count - 1}`);
  }
}
