/** Text in, translations with their attention out, as nmt/translator.py. */

import { loadArrays } from "./arrays.mjs";
import { beamSearch, bestContinuations } from "./beam.mjs";
import { Interventions } from "./interventions.mjs";
import { maxLength, searchOptions } from "./options.mjs";
import { END, PADDING, START, Subwords, UNKNOWN } from "./subwords.mjs";
import { Transformer } from "./transformer.mjs";

const FORBIDDEN = [PADDING, UNKNOWN, START];
/** Next pieces listed for every step. */
const CANDIDATES = 5;

export class Translator {
  /** @param data one model of `nmt.page.export.model_data` */
  constructor(data) {
    this.data = data;
    this.subwords = new Subwords(data.subwords);
    this.model = new Transformer(data.config, loadArrays(data.weights));
  }

  /**
   * Translate one sentence.
   * @param options {beam, nBest}, each with the checkpoint's own default, beam 1 is greedy; {heads: false} leaves out
   *     attention; {forced}, the pieces that the translation begins with; {off, moved}: see `Interventions`
   * @returns {source, text, pieces, score, sourceWords, targetWords, heads, hypotheses, tree}; `heads` are every layer's
   *     and head's attention over pieces, and the candidates of every step. `hypotheses` is the n-best list, each of
   *     this form without `tree`, which is `beamSearch`'s
   * @throws {RangeError} for a text that is longer than the model takes, and for options that cannot be
   */
  translate(text, { beam, nBest, heads = true, forced = [], off, moved } = {}) {
    const options = searchOptions(this.data.decoding, { beam, n_best: nBest });
    const source = this.subwords.encode(text);
    const longest = this.longest(source.ids, "the text");
    if (source.words.length === 0 || source.ids.length === 0) return untranslated(text, source);
    const encoded = this.encode(source.ids, { off, moved });
    const limits = {
      start: START,
      end: END,
      forbidden: FORBIDDEN,
      maxLength: Math.min(maxLength(options, source.ids.length), longest),
      forced: forced.map((piece) => this.idOf(piece)),
    };
    if (limits.forced.length > limits.maxLength) {
      throw new RangeError(`${limits.forced.length} pieces are forced; a translation has at most ${limits.maxLength}`);
    }
    const step = (pieces, state) => this.model.step(pieces, state, encoded.interventions);
    const { found, tree } = beamSearch(step, this.model.start(encoded.memory), limits, options);
    const hypotheses = found.map((hypothesis) => this.finished(text, source, hypothesis, heads && encoded));
    const spelled = tree.map((node) => ({ ...node, piece: this.subwords.spelling[node.piece] }));
    return { ...hypotheses[0], hypotheses, tree: spelled };
  }

  /**
   * The loss of a given translation, the negative log-probability of each of its pieces, under interventions.
   * @param target pieces as a translation lists them, `</s>` not included
   */
  losses(text, target, { off, moved } = {}) {
    const source = this.subwords.encode(text);
    this.longest(source.ids, "the text");
    const ids = target.map((piece) => this.idOf(piece));
    this.longest(ids, "the translation");
    const { memory, interventions } = this.encode(source.ids, { off, moved });
    const { states } = this.model.decode([START, ...ids], memory, interventions);
    const rows = this.model.logProbabilities(states);
    return [...ids, END].map((id, row) => -rows[row * this.subwords.spelling.length + id]);
  }

  /** The most pieces that the model takes, `</s>` not counted. */
  longest(ids, what) {
    const longest = this.data.config.max_length - 1;
    if (ids.length > longest) {
      throw new RangeError(`${what} has ${ids.length} pieces, and the model takes ${longest}; shorten it`);
    }
    return longest;
  }

  idOf(piece) {
    const id = this.subwords.spelling.indexOf(piece);
    if (id < 0 || FORBIDDEN.includes(id)) throw new RangeError(`the model writes no piece ${piece}`);
    return id;
  }

  /** A source's memory and encoder weights, under the interventions, which go with them. */
  encode(ids, changes) {
    const interventions = new Interventions(changes, this.data.config, ids.length + 1);
    return { ...this.model.encode([...ids, END], interventions), interventions };
  }

  /** A hypothesis as text and words, with its attention by one teacher-forced pass where `encoded` is given. */
  finished(text, source, { pieces, score, ended }, encoded) {
    const target = this.subwords.decodeWithSpans(pieces);
    return {
      source: text,
      text: target.text,
      pieces: this.subwords.pieces(pieces),
      score,
      ended,
      sourceWords: source.words.map((word) => word.text),
      targetWords: target.words.map((word) => word.text),
      heads: encoded && {
        ...this.attention(source.ids, pieces, encoded),
        sourceWordsOfPiece: [...source.wordsOfPiece, []],
        targetWordsOfPiece: [...target.wordsOfPiece, []],
      },
    };
  }

  /** Every layer's and head's weights for given pieces, as `AttentionMaps` of nmt/translation.py. */
  attention(source, target, { memory, weights, interventions }) {
    const [rows, columns] = [target.length + 1, source.length + 1];
    const decoded = this.model.decode([START, ...target], memory, interventions);
    const { heads } = this.data.config;
    return {
      encoder: stacked(weights, heads, columns, columns),
      decoder: stacked(decoded.weights.map(({ decoder }) => decoder), heads, rows, rows),
      cross: stacked(decoded.weights.map(({ cross }) => cross), heads, rows, columns),
      sourcePieces: this.subwords.pieces([...source, END]),
      targetPieces: this.subwords.pieces([...target, END]),
      ...this.steps(this.model.logProbabilities(decoded.states), [...target, END]),
    };
  }

  /** For each step the likeliest next pieces with their log-probabilities, best first, and that of the written one. */
  steps(logProbabilities, target) {
    const vocabulary = this.subwords.spelling.length;
    const rows = target.map((_, row) => logProbabilities.subarray(row * vocabulary, (row + 1) * vocabulary));
    const logProbabilitiesOfPieces = rows.map((row, step) => row[target[step]]);
    const candidates = rows.map((row) =>
      bestContinuations([{ score: 0 }], row, [], CANDIDATES).map(({ piece, score }) => [this.subwords.spelling[piece], score]));
    return { candidates, logProbabilities: logProbabilitiesOfPieces };
  }
}

/** Layers' weights [heads, rows, columns] as one tensor. */
function stacked(layers, heads, rows, columns) {
  const values = new Float32Array(layers.length * heads * rows * columns);
  layers.forEach((layer, number) => values.set(layer, number * layer.length));
  return { layers: layers.length, heads, rows, columns, values };
}

/** A text without words translates to nothing. */
function untranslated(text, source) {
  const sourceWords = source.words.map((word) => word.text);
  const nothing = { source: text, text: "", pieces: [], score: 0, ended: true, sourceWords, targetWords: [], heads: null };
  return { ...nothing, hypotheses: [], tree: [] };
}
