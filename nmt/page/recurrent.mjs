/**
 * RNNsearch, which attends (Bahdanau et al. 2015), and the RNN encoder-decoder, which cannot (Cho et al. 2014), as
 * nmt/models/recurrent.py, for one sentence at a time. Equations and sections are those of Bahdanau et al.
 */

import { Model } from "./interface.mjs";
import { Linear } from "./linear.mjs";
import { Score } from "./scores.mjs";
import { DecoderState } from "./state.mjs";

/** torch's gated unit: s_i = (1 - z) n + z s_{i-1}, n = tanh(W x + b + r * (U s_{i-1} + c)). */
class GRU {
  constructor(arrays, name, suffix = "") {
    const linear = (kind) => {
      const { values, shape } = arrays[`${name}.weight_${kind}_l0${suffix}`];
      return new Linear(values, arrays[`${name}.bias_${kind}_l0${suffix}`].values, shape[1]);
    };
    this.fromInputs = linear("ih");
    this.fromState = linear("hh");
    this.width = this.fromState.inputs;
  }

  /** States [rows, width] after one more step; `given` [rows, 3 width] is `fromInputs` of the step's inputs. */
  advance(given, states) {
    const { width } = this;
    const recurrent = this.fromState.forward(states);
    const next = new Float32Array(states.length);
    for (let place = 0; place < states.length; place += 1) {
      const first = 3 * (place - (place % width)) + (place % width);
      const reset = sigmoid(given[first] + recurrent[first]);
      const update = sigmoid(given[first + width] + recurrent[first + width]);
      const proposal = Math.tanh(given[first + 2 * width] + reset * recurrent[first + 2 * width]);
      next[place] = (1 - update) * proposal + update * states[place];
    }
    return next;
  }

  /** x [steps, inputs] to the states after each, [steps, width], from a state of zeros; `order` lists the steps. */
  forward(x, order) {
    const given = this.fromInputs.forward(x);
    const all = new Float32Array(order.length * this.width);
    let state = new Float32Array(this.width);
    for (const step of order) {
      state = this.advance(given.subarray(3 * step * this.width, 3 * (step + 1) * this.width), state);
      all.set(state, step * this.width);
    }
    return all;
  }
}

/** What both share; they differ in the context of a step alone. */
class Recurrent extends Model {
  constructor(config, arrays) {
    super(config, arrays);
    this.forwards = new GRU(arrays, "encoder");
    this.backwards = new GRU(arrays, "encoder", "_reverse");
    this.decoder = new GRU(arrays, "decoder");
    this.output = Linear.named(arrays, "output");
    this.firstState = Linear.named(arrays, "first_state");
  }

  /** Both directions' states of piece ids, each [source, direction]. */
  annotate(source) {
    const embedded = this.embed(this.sourceEmbedding, source);
    const order = source.map((_, step) => step);
    return [this.forwards.forward(embedded, order), this.backwards.forward(embedded, order.toReversed())];
  }

  /** Teacher forcing, as `Transformer.decode`. */
  decode(target, memory, interventions) {
    const states = new Float32Array(target.length * this.config.width);
    const rows = [];
    let state = this.start(memory);
    target.forEach((piece, row) => {
      const advanced = this.advance([piece], state, interventions);
      states.set(advanced.outputs, row * this.config.width);
      if (advanced.weights) rows.push(advanced.weights);
      state = advanced.state;
    });
    return { states, weights: rows.length > 0 ? [{ decoder: null, cross: joined(rows, 1) }] : [] };
  }

  /** One position of every hypothesis, as `Transformer.step`. */
  step(pieces, state, interventions) {
    const { outputs, state: next } = this.advance(pieces, state, interventions);
    return [this.logProbabilities(outputs), next];
  }

  /** From s_{i-1} and y_{i-1} to s_i: {outputs [rows, width], weights [rows, source] or null, state}. */
  advance(pieces, state, interventions) {
    const rows = pieces.length;
    const before = joined(state.perHypothesis, 1);
    const embedded = this.embed(this.targetEmbedding, pieces);
    const { contexts, weights } = this.contexts(before, state, interventions);
    const states = this.decoder.advance(this.decoder.fromInputs.forward(joined([embedded, contexts], rows)), before);
    const next = pieces.map((_, row) => states.subarray(row * this.config.width, (row + 1) * this.config.width));
    return {
      outputs: this.outputs(joined([states, embedded, contexts], rows), rows),
      weights,
      state: new DecoderState(state.perSentence, next, state.length + 1),
    };
  }

  /** Appendix A.2.2: the maxima of both halves of U_o s_i + V_o E y_{i-1} + C_o c_i. */
  outputs(inputs, rows) {
    const { width } = this.config;
    const doubled = this.output.forward(inputs);
    return Float32Array.from({ length: rows * width }, (_, place) => {
      const first = 2 * (place - (place % width)) + (place % width);
      return Math.max(doubled[first], doubled[first + width]);
    });
  }

  /** tanh(W_s x), x [1, inputs]. */
  first(x) {
    return this.firstState.forward(x).map(Math.tanh);
  }
}

/** Attention over the annotations at each step (section 3.1). The memory is the annotations. */
export class RNNSearch extends Recurrent {
  constructor(config, arrays) {
    super(config, arrays);
    this.score = new Score(config.attention, arrays);
  }

  /** Annotations h_j = [forward state; backward state], [source, 2 direction]. */
  encode(source) {
    return { memory: joined(this.annotate(source), source.length), weights: [] };
  }

  /** Appendix A.2.2: s_0 = tanh(W_s h_1), of the backward state of the first piece. */
  start(memory) {
    const { width } = this.forwards;
    const first = this.first(memory.subarray(width, 2 * width));
    return new DecoderState({ memory, keys: this.score.project(memory) }, [first], 0);
  }

  /** Equation 5: c_i = sum_j alpha_ij h_j. */
  contexts(states, { perSentence: { memory, keys }, length }, interventions) {
    const [rows, width] = [states.length / this.config.width, 2 * this.forwards.width];
    const columns = memory.length / width;
    const weights = this.score.forward(states, keys, this.config.width);
    const contexts = new Float32Array(rows * width);
    const edit = interventions.of("cross", 0);
    for (let row = 0; row < rows; row += 1) {
      const own = weights.subarray(row * columns, (row + 1) * columns);
      edit?.(own, 0, length);
      own.forEach((weight, column) => {
        for (let i = 0; i < width; i += 1) contexts[row * width + i] += weight * memory[column * width + i];
      });
    }
    return { contexts, weights };
  }
}

/** One vector for the whole source (Cho et al. 2014, section 2.2). The memory is that vector; there is no alignment. */
export class RNNEncoderDecoder extends Recurrent {
  constructor(config, arrays) {
    super(config, arrays);
    this.summary = Linear.named(arrays, "summary");
  }

  /** c = tanh(V [forward state of `</s>`; backward state of the first piece]). */
  encode(source) {
    const { width } = this.forwards;
    const [forwards, backwards] = this.annotate(source);
    const last = joined([forwards.subarray(forwards.length - width), backwards.subarray(0, width)], 1);
    return { memory: this.summary.forward(last).map(Math.tanh), weights: [] };
  }

  start(memory) {
    return new DecoderState({ memory }, [this.first(memory)], 0);
  }

  contexts(states, { perSentence: { memory } }) {
    const rows = states.length / this.config.width;
    return { contexts: joined(Array.from({ length: rows }, () => memory), 1), weights: null };
  }
}

/** Matrices of so many rows side by side; vectors end to end with `rows` 1. */
function joined(matrices, rows) {
  const all = new Float32Array(matrices.reduce((sum, { length }) => sum + length, 0));
  const width = all.length / rows;
  let start = 0;
  for (const matrix of matrices) {
    const own = matrix.length / rows;
    for (let row = 0; row < rows; row += 1) all.set(matrix.subarray(row * own, (row + 1) * own), row * width + start);
    start += own;
  }
  return all;
}

function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}
