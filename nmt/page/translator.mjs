/** Text in, translations with their attention out, as nmt/translator.py. */

import { loadArrays } from "./arrays.mjs";
import { beamSearch, bestContinuations } from "./beam.mjs";
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
   * @param options {beam, nBest}, each with the checkpoint's own default; beam 1 is greedy
   * @returns {source, text, pieces, score, sourceWords, targetWords, heads, hypotheses}; `heads` are every layer's and
   *     head's attention over pieces, and the candidates of every step. `hypotheses` is the n-best list, each of this form
   * @throws {RangeError} for a text that is longer than the model takes, and for options that cannot be
   */
  translate(text, { beam, nBest } = {}) {
    const options = searchOptions(this.data.decoding, { beam, n_best: nBest });
    const source = this.subwords.encode(text);
    const longest = this.data.config.max_length - 1;
    if (source.ids.length > longest) {
      throw new RangeError(`the text has ${source.ids.length} pieces, and the model takes ${longest}; shorten it`);
    }
    if (source.words.length === 0 || source.ids.length === 0) return untranslated(text, source);
    const { memory, weights } = this.model.encode([...source.ids, END]);
    const limits = {
      start: START,
      end: END,
      forbidden: FORBIDDEN,
      maxLength: Math.min(maxLength(options, source.ids.length), longest),
    };
    const found = beamSearch((pieces, state) => this.model.step(pieces, state), this.model.start(memory), limits, options);
    const hypotheses = found.map((hypothesis) => this.finished(text, source, hypothesis, { memory, weights }));
    return { ...hypotheses[0], hypotheses };
  }

  /** A hypothesis as text and words, with its attention by one teacher-forced pass. */
  finished(text, source, { pieces, score }, encoded) {
    const target = this.subwords.decodeWithSpans(pieces);
    return {
      source: text,
      text: target.text,
      pieces: this.subwords.pieces(pieces),
      score,
      sourceWords: source.words.map((word) => word.text),
      targetWords: target.words.map((word) => word.text),
      heads: {
        ...this.attention(source.ids, pieces, encoded),
        sourceWordsOfPiece: [...source.wordsOfPiece, []],
        targetWordsOfPiece: [...target.wordsOfPiece, []],
      },
    };
  }

  /** Every layer's and head's weights for given pieces, as `AttentionMaps` of nmt/translation.py. */
  attention(source, target, { memory, weights }) {
    const [rows, columns] = [target.length + 1, source.length + 1];
    const { states, selfWeights, crossWeights } = this.model.decode([START, ...target], memory);
    return {
      encoder: stacked(weights, this.data.config.heads, columns, columns),
      decoder: stacked(selfWeights, this.data.config.heads, rows, rows),
      cross: stacked(crossWeights, this.data.config.heads, rows, columns),
      sourcePieces: this.subwords.pieces([...source, END]),
      targetPieces: this.subwords.pieces([...target, END]),
      candidates: this.candidates(states, rows),
    };
  }

  /** For each step the likeliest next pieces with their log-probabilities, best first. */
  candidates(states, rows) {
    const { width } = this.data.config;
    return Array.from({ length: rows }, (_, row) => {
      const step = this.model.logProbabilities(states.slice(row * width, (row + 1) * width));
      const best = bestContinuations([{ score: 0 }], step, [], CANDIDATES);
      return best.map(({ piece, score }) => [this.subwords.spelling[piece], score]);
    });
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
  return { source: text, text: "", pieces: [], score: 0, sourceWords, targetWords: [], heads: null, hypotheses: [] };
}
