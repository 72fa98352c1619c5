/** What every network shares, as nmt/models/interface.py: embeddings, and the projection onto the vocabulary. */

import { Linear, logSoftmax } from "./linear.mjs";

/**
 * A network gives `encode(source, interventions)`, {memory, weights}; `decode(target, memory, interventions)`, {states,
 * weights}; `start(memory)`, a `DecoderState`; and `step(pieces, state, interventions)`, [log-probabilities, next state].
 */
export class Model {
  /** @param config the checkpoint's `model` section @param arrays {name: {values, shape}}, named as PyTorch does */
  constructor(config, arrays) {
    this.config = config;
    const { values } = arrays.output_weight;
    const bias = arrays.output_bias.values; // the pieces that a translation can have come first
    this.projection = new Linear(values.subarray(0, bias.length * config.width), bias, config.width);
    this.sourceEmbedding = arrays["source_embedding.weight"]?.values ?? values;
    this.targetEmbedding = arrays["target_embedding.weight"]?.values ?? values;
  }

  /** Piece ids to embeddings [pieces, width], scaled by sqrt(width). */
  embed(embedding, pieces) {
    const { width } = this.config;
    const x = new Float32Array(pieces.length * width);
    pieces.forEach((piece, row) => {
      for (let i = 0; i < width; i += 1) x[row * width + i] = embedding[piece * width + i] * Math.sqrt(width);
    });
    return x;
  }

  /** States [rows, width] to log-probabilities [rows, targets] of the next piece. */
  logProbabilities(states) {
    return logSoftmax(this.projection.forward(states), this.projection.outputs);
  }
}
