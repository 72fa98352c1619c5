/** The transformer (Vaswani et al. 2017), as nmt/models/transformer.py, for one sentence at a time. */

import { MultiHeadAttention } from "./attention.mjs";
import { Model } from "./interface.mjs";
import { LayerNorm, Linear, relu, sum } from "./linear.mjs";
import { DecoderState } from "./state.mjs";

/** Residual connection and layer normalization around a sublayer: post-norm as in the paper, or pre-norm. */
class SublayerConnection {
  constructor(arrays, name, config) {
    this.norm = new LayerNorm(arrays, `${name}.norm`);
    this.pre = config.norm === "pre";
  }

  input(x) {
    return this.pre ? this.norm.forward(x) : x;
  }

  output(x, output) {
    const added = sum(x, output);
    return this.pre ? added : this.norm.forward(added);
  }
}

/** Equation 2: max(0, x W_1 + b_1) W_2 + b_2. */
class FeedForward {
  constructor(arrays, name) {
    this.inner = Linear.named(arrays, `${name}.inner`);
    this.outer = Linear.named(arrays, `${name}.outer`);
  }

  forward(x) {
    return this.outer.forward(relu(this.inner.forward(x)));
  }
}

class EncoderLayer {
  constructor(arrays, name, config) {
    this.selfAttention = new MultiHeadAttention(arrays, `${name}.self_attention`, config.heads);
    this.feedForward = new FeedForward(arrays, `${name}.feed_forward`);
    this.aroundSelf = new SublayerConnection(arrays, `${name}.around_self`, config);
    this.aroundFeedForward = new SublayerConnection(arrays, `${name}.around_feed_forward`, config);
  }

  /** x [source, width] to the same shape; fills `weights` [heads, source, source]. */
  forward(x, weights, edit) {
    const y = this.aroundSelf.input(x);
    const keysValues = this.selfAttention.project(y);
    const after = this.aroundSelf.output(x, this.selfAttention.forward(y, () => keysValues, weights, edit));
    return this.aroundFeedForward.output(after, this.feedForward.forward(this.aroundFeedForward.input(after)));
  }
}

class DecoderLayer {
  constructor(arrays, name, config) {
    this.selfAttention = new MultiHeadAttention(arrays, `${name}.self_attention`, config.heads);
    this.crossAttention = new MultiHeadAttention(arrays, `${name}.cross_attention`, config.heads);
    this.feedForward = new FeedForward(arrays, `${name}.feed_forward`);
    this.aroundSelf = new SublayerConnection(arrays, `${name}.around_self`, config);
    this.aroundCross = new SublayerConnection(arrays, `${name}.around_cross`, config);
    this.aroundFeedForward = new SublayerConnection(arrays, `${name}.around_feed_forward`, config);
  }

  /** All target positions at once, x [target, width]; `memory` is the cross-attention's keys and values. */
  forward(x, memory, weights, edits) {
    const y = this.aroundSelf.input(x);
    const keysValues = this.selfAttention.project(y);
    const output = this.selfAttention.forward(y, (row) => keysValues.slice(0, row + 1), weights.decoder, edits.decoder);
    return this.lookAtSource(this.aroundSelf.output(x, output), memory, weights.cross, edits.cross);
  }

  /** One new position of every hypothesis, x [beam, width]; `caches` holds each one's past keys and values. */
  step(x, caches, memory, edits) {
    const y = this.aroundSelf.input(x);
    const grown = this.selfAttention.project(y).map((keysValues, hypothesis) => [...caches[hypothesis], keysValues]);
    const output = this.selfAttention.forward(y, (row) => grown[row], null, edits.decoder);
    return [this.lookAtSource(this.aroundSelf.output(x, output), memory, null, edits.cross), grown];
  }

  lookAtSource(x, memory, weights, edit) {
    const looked = this.crossAttention.forward(this.aroundCross.input(x), () => memory, weights, edit);
    const after = this.aroundCross.output(x, looked);
    return this.aroundFeedForward.output(after, this.feedForward.forward(this.aroundFeedForward.input(after)));
  }
}

export class Transformer extends Model {
  constructor(config, arrays) {
    super(config, arrays);
    this.positions = arrays.positions?.values ?? fixedPositions(config);
    this.encoderLayers = stack(config.encoder_layers, (n) => new EncoderLayer(arrays, `encoder_layers.${n}`, config));
    this.decoderLayers = stack(config.decoder_layers, (n) => new DecoderLayer(arrays, `decoder_layers.${n}`, config));
    // Pre-norm leaves the stream unnormalized, so each stack ends in a normalization of its own.
    const final = (name) => (config.norm === "pre" ? new LayerNorm(arrays, name) : { forward: (x) => x });
    this.encoderNorm = final("encoder_norm");
    this.decoderNorm = final("decoder_norm");
  }

  /** Piece ids, `</s>` last, to the memory [source, width] and each layer's weights [heads, source, source]. */
  encode(source, interventions) {
    let x = this.place(this.embed(this.sourceEmbedding, source), 0);
    const weights = this.encoderLayers.map((layer, number) => {
      const layerWeights = new Float32Array(this.config.heads * source.length ** 2);
      x = layer.forward(x, layerWeights, interventions.of("encoder", number));
      return layerWeights;
    });
    return { memory: this.encoderNorm.forward(x), weights };
  }

  /** Teacher forcing: target ids beginning with `<s>` to states [target, width] and each layer's weights. */
  decode(target, memory, interventions) {
    const { heads, width } = this.config;
    const [rows, columns] = [target.length, memory.length / width];
    let x = this.place(this.embed(this.targetEmbedding, target), 0);
    const weights = this.decoderLayers.map((layer, number) => {
      const own = { decoder: new Float32Array(heads * rows * rows), cross: new Float32Array(heads * rows * columns) };
      x = layer.forward(x, layer.crossAttention.project(memory), own, editsOf(interventions, number));
      return own;
    });
    return { states: this.decoderNorm.forward(x), weights };
  }

  /**
   * The state before the first step, with one hypothesis: each layer's keys and values of the memory, and for each hypothesis
   * each layer's own, none yet.
   */
  start(memory) {
    const projected = this.decoderLayers.map((layer) => layer.crossAttention.project(memory));
    return new DecoderState(projected, [this.decoderLayers.map(() => [])], 0);
  }

  /** One position: pieces [beam] to log-probabilities [beam, vocabulary] of the next, and the next state. */
  step(pieces, state, interventions) {
    let x = this.place(this.embed(this.targetEmbedding, pieces), state.length, 0);
    const caches = pieces.map(() => []);
    this.decoderLayers.forEach((layer, number) => {
      const before = state.perHypothesis.map((layers) => layers[number]);
      const edits = editsOf(interventions, number, state.length);
      const [after, grown] = layer.step(x, before, state.perSentence[number], edits);
      x = after;
      grown.forEach((cache, hypothesis) => caches[hypothesis].push(cache));
    });
    return [this.logProbabilities(this.decoderNorm.forward(x)), new DecoderState(state.perSentence, caches, state.length + 1)];
  }

  /** Section 3.4: embeddings x [rows, width] plus positions, in place: that of row r is `first` + r `stride`. */
  place(x, first, stride = 1) {
    const { width } = this.config;
    for (let i = 0; i < x.length; i += 1) {
      const row = Math.floor(i / width);
      x[i] += this.positions[(first + row * stride) * width + (i % width)];
    }
    return x;
  }
}

/** The changes to a decoder layer's attention; `position` is that of all rows, else each row is its own position. */
function editsOf(interventions, layer, position = null) {
  const at = (edit) => (position === null || !edit ? edit : (weights, head) => edit(weights, head, position));
  return { decoder: at(interventions.of("decoder", layer)), cross: at(interventions.of("cross", layer)) };
}

function stack(count, layer) {
  return Array.from({ length: count }, (_, number) => layer(number));
}

/** Section 3.5: PE(p, 2i) = sin(p / 10000^(2i / width)), PE(p, 2i + 1) = cos(the same); or nothing. */
function fixedPositions({ positions, max_length: length, width }) {
  const table = new Float32Array(length * width);
  if (positions !== "sinusoidal") return table;
  for (let place = 0; place < table.length; place += 1) {
    const [position, dimension] = [Math.floor(place / width), place % width];
    const angle = position / 10000 ** ((dimension - (dimension % 2)) / width);
    table[place] = dimension % 2 ? Math.cos(angle) : Math.sin(angle);
  }
  return table;
}
