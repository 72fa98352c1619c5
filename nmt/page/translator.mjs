/** Text in, translations with their attention out, as nmt/translator.py. */

import { MEAN, aggregate, groupsOfWords, headMatrix } from "../inspection/explorer/weights.mjs";
import { Aligner } from "./aligner.mjs";
import { loadArrays } from "./arrays.mjs";
import { beamSearch, bestContinuations } from "./beam.mjs";
import { asFragment, withCapitals } from "./casing.mjs";
import { Calibration, doubtful, evidenceOf } from "./confidence.mjs";
import { slotLinks, withCopied, withStrokes, wordsAsRead } from "./copying.mjs";
import { isAside } from "./copied.mjs";
import { Interventions } from "./interventions.mjs";
import { weightedMean, withAside } from "./joining.mjs";
import { attentionLinks } from "./links.mjs";
import { maxLength, searchOptions } from "./options.mjs";
import { sentences } from "./parts.mjs";
import { END, PADDING, START, Subwords, UNKNOWN, withLostSlots } from "./subwords.mjs";
import { RNNEncoderDecoder, RNNSearch } from "./recurrent.mjs";
import { without } from "./typography.mjs";
import { splitWords } from "./words.mjs";
import { Transformer } from "./transformer.mjs";

const MODELS = { transformer: Transformer, rnnsearch: RNNSearch, rnnencdec: RNNEncoderDecoder };
const FORBIDDEN = [PADDING, UNKNOWN, START];
/** Next pieces listed for every step. */
const CANDIDATES = 5;
/** Sentences whose translations are kept: who types at the end of a text has the others' already. */
const REMEMBERED = 32;

export class Translator {
  /** @param data one model of `nmt.page.bundle.model_data` */
  static async load(data) {
    return new Translator(data, await loadArrays(data.weights), data.aligner && (await loadArrays(data.aligner.weights)));
  }

  constructor(data, arrays, alignerArrays) {
    this.data = data;
    this.subwords = new Subwords(data.subwords, data);
    this.model = new MODELS[data.config.type](data.config, arrays);
    this.aligner = alignerArrays && new Aligner(alignerArrays, this.subwords, data.aligner);
    this.calibration = data.confidence && new Calibration(data.confidence);
    this.remembered = new Map();
    this.encoded = null;
  }

  /**
   * Translate a text, sentence by sentence.
   * @param options {beam, nBest}, each with the checkpoint's own default, beam 1 is greedy; {heads: false} leaves out
   *     attention; {sentence}, the number of the one that `forced` and `moved` are about, 0 by default; {forced}, the pieces
   *     that its translation begins with; {off, moved}: see `Interventions`
   * @returns {source, text, score, sentences}; each sentence is {source, start, text, pieces, score, ended, sourceWords,
   *     targetWords, links, confidence, wordConfidence, doubtful, heads, hypotheses, tree}. `heads` are every layer's and head's attention over pieces, and the candidates
   *     of every step. `hypotheses` is the n-best list, each of this form without `tree`, which is `beamSearch`'s. The fields
   *     of a text's only sentence are the text's own too. Score and confidence are the means, weighted by target words
   * @throws {RangeError} for a sentence that is longer than the model takes, and for options that cannot be
   */
  translate(text, { sentence: chosen = 0, forced = [], moved = [], oneSentence = false, ...options } = {}) {
    searchOptions(this.data.decoding, { beam: options.beam, n_best: options.nBest });
    const whole = this.subwords.encode(text, undefined, true);
    const hasWords = whole.words.length > 0 && whole.ids.length > 0;
    const parts = oneSentence && hasWords ? [{ text, start: 0, encoding: whole }] : sentences(this.subwords, whole, this.data.source);
    if (!hasWords || parts.length === 0) return untranslated(text, whole);
    const found = parts.map((part, number) =>
      this.remember(part, { ...options, ...(number === chosen && { forced, moved }) }));
    if (found.length === 1) return { ...found[0], source: text, sentences: found };
    return {
      source: text,
      text: found.map((one) => one.text).filter(Boolean).join(" "),
      score: weightedMean(found, (one) => one.score),
      confidence: this.calibration && weightedMean(found, (one) => one.confidence),
      sentences: found,
    };
  }

  remember(part, options) {
    const key = JSON.stringify([part.text, options]);
    const known = this.remembered.get(key) ?? this.translateSentence(part, options);
    this.remembered.delete(key); // the newest stand last
    this.remembered.set(key, known);
    if (this.remembered.size > REMEMBERED) this.remembered.delete(this.remembered.keys().next().value);
    return { ...known, start: part.start };
  }

  /** A sentence with the translations of its quoted words, which are translated as sentences of their own. */
  withQuotations(source) {
    const written = [...source.quotations].map(([slot, words]) => {
      const before = without(source.text.slice(0, source.slots.get(slot)[0]), []).plain;
      return [slot, this.asFragment(words, this.translate(`${words}.`, { oneSentence: true, heads: false }).text, before)];
    });
    return written.length === 0 ? source : { ...source, quotations: new Map(written) };
  }

  translateSentence({ text, encoding }, { beam, nBest, heads = true, forced = [], off, moved }) {
    const options = searchOptions(this.data.decoding, { beam, n_best: nBest });
    const source = this.withQuotations(encoding);
    const longest = this.longest(source.ids, "the text");
    const encoded = this.encode(source.ids, { off, moved });
    const limits = {
      start: START,
      end: END,
      maxLength: Math.min(maxLength(options, source.ids.length), longest),
      forced: forced.map((piece) => this.idOf(piece)),
    };
    if (limits.forced.length > limits.maxLength) {
      throw new RangeError(`${limits.forced.length} pieces are forced; a translation has at most ${limits.maxLength}`);
    }
    const step = (pieces, state) => this.model.step(pieces, state, encoded.interventions);
    const search = (more, asked) =>
      beamSearch(step, this.model.start(encoded.memory), { ...limits, forbidden: [...FORBIDDEN, ...more] }, asked);
    let { found, tree } = search([], options);
    const differs = ({ pieces }) => this.placeholders(pieces) !== this.placeholders(source.ids);
    if (found.some(differs)) {
      // A placeholder is lost, written twice, or stands for nothing: search again, without the last kind, and rank all.
      const lacking = this.subwords.slotIds.filter((id) => !source.ids.includes(id));
      ({ found, tree } = search(lacking, { ...options, n_best: options.beam }));
      found = found.toSorted((a, b) => differs(a) - differs(b)).slice(0, options.n_best);
    }
    const asides = this.asides(source, { beam, nBest });
    const hypotheses = found.map((hypothesis) =>
      asides.reduce((host, aside) => withAside(host, aside), this.finished(source, hypothesis, encoded, heads)));
    const spelled = tree.map((node) => ({ ...node, piece: this.subwords.spelling[node.piece] }));
    return { source: text, ...hypotheses[0], hypotheses, tree: spelled };
  }

  asFragment(words, translation, before) {
    return asFragment(words, translation, (form) => this.subwords.score(form), before);
  }

  /** A sentence's asides, as `withAside` takes them. */
  asides({ text, copied, words }, options) {
    return copied.filter((span) => isAside(text, span)).flatMap(([start, end]) => {
      const own = text.slice(start + 1, end - 1);
      const { ids } = this.subwords.encode(own, undefined, true);
      if (ids.length === 0 || ids.length > this.data.config.max_length - 1) return [];
      const translation = this.translate(own, { ...options, oneSentence: true, heads: false });
      const first = words.findIndex((word) => word.end > start + 1);
      return [{ ...translation, text: this.asFragment(own, translation.text), first }];
    });
  }

  /** The placeholders among pieces, in no order, as one text to compare. */
  placeholders(pieces) {
    return pieces.filter((piece) => this.subwords.slotIds.includes(piece)).toSorted((a, b) => a - b).join();
  }

  /**
   * The loss of a given translation, the negative log-probability of each of its pieces, under interventions.
   * @param target pieces as a translation lists them, `</s>` not included
   */
  losses(text, target, { off, moved } = {}) {
    const source = this.subwords.encode(text, undefined, true);
    this.longest(source.ids, "the text");
    const ids = target.map((piece) => this.idOf(piece));
    this.longest(ids, "the translation");
    const { memory, interventions } = this.encode(source.ids, { off, moved });
    const { states } = this.model.decode([START, ...ids], memory, interventions);
    const rows = this.model.logProbabilities(states);
    return [...ids, END].map((id, row) => -rows[row * this.model.projection.outputs + id]);
  }

  /** A text as pieces, such as can be forced. */
  pieces(text) {
    return this.subwords.pieces(this.subwords.target.encode(text, null).ids);
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
    if (id < 0 || id >= this.model.projection.outputs || FORBIDDEN.includes(id)) throw new RangeError(`the model writes no piece ${piece}`);
    return id;
  }

  /**
   * A source's memory and encoder weights, under the interventions, which go with them. The last ones are kept: most changes
   * leave the encoder as it was.
   */
  encode(ids, changes) {
    const interventions = new Interventions(changes, this.data.config, ids.length + 1);
    const key = JSON.stringify([ids, interventions.off.filter(({ kind }) => kind === "encoder")]);
    if (this.encoded?.key !== key) this.encoded = { key, ...this.model.encode([...ids, END], interventions) };
    return { ...this.encoded, interventions };
  }

  /** A hypothesis as text and words, with what was copied back in its place, and its attention if `heads`. */
  finished(read, hypothesis, encoded, heads) {
    const { pieces, score, ended } = hypothesis;
    const target = this.subwords.decodeWithSpans(pieces, read);
    const source = withLostSlots(read, target);
    const attention = heads || !this.aligner ? this.attention(source.ids, pieces, encoded) : null;
    const { links, probabilities } = this.align(attention, source, target);
    const own = links && slotLinks(links, source, target);
    const cased = withCapitals(target, source, own ?? [], this.data.target, this.subwords.known?.within);
    const written = { text: cased, words: splitWords(cased) };
    const { text, now, links: placed } = withCopied(withStrokes(written, source, own ?? []), source, own ?? []);
    const targetWords = textsOf(splitWords(text));
    const evidence = evidenceOf(read, target, hypothesis, links, probabilities, this.subwords);
    const wordConfidence = completed(this.calibration?.words(evidence[1]), now, targetWords.length);
    return {
      text,
      pieces: this.subwords.pieces(pieces),
      score,
      ended,
      sourceWords: textsOf(source.words),
      targetWords,
      links: links && placed,
      confidence: this.calibration && this.calibration.confidence(evidence[0]),
      wordConfidence,
      doubtful: doubtful(wordConfidence),
      heads: heads ? {
        ...attention,
        guided: this.data.guided,
        sourceWordsOfPiece: [...source.wordsOfPiece, []],
        targetWordsOfPiece: [...target.wordsOfPiece.map((words) => words.map((word) => now[word])), []],
      } : null,
    };
  }

  /** Links between words, by the alignment head, or else by the attention that is shown; null from a model without any. */
  align(attention, source, target) {
    if (this.aligner) return this.aligner.alignWords(wordsAsRead(source), textsOf(target.words));
    if (!attention.cross) return { links: null, probabilities: null };
    const words = aggregate(
      headMatrix(attention.cross, this.data.alignmentLayer, this.data.alignmentHead ?? MEAN),
      groupsOfWords([...target.wordsOfPiece, []], target.words.length).slice(0, -1),
      groupsOfWords([...source.wordsOfPiece, []], source.words.length),
    );
    return { links: attentionLinks(words), probabilities: null };
  }

  /** Every layer's and head's weights for given pieces, as `AttentionMaps` of nmt/translation.py. */
  attention(source, target, { memory, weights, interventions }) {
    const [rows, columns] = [target.length + 1, source.length + 1];
    const decoded = this.model.decode([START, ...target], memory, interventions);
    const { heads } = this.data.config;
    return {
      encoder: stacked(weights, heads, columns, columns),
      decoder: stacked(decoded.weights.map(({ decoder }) => decoder).filter(Boolean), heads, rows, rows),
      cross: stacked(decoded.weights.map(({ cross }) => cross), heads, rows, columns),
      sourcePieces: this.subwords.pieces([...source, END]),
      targetPieces: this.subwords.pieces([...target, END]),
      ...this.steps(this.model.logProbabilities(decoded.states), [...target, END]),
    };
  }

  /** For each step the likeliest next pieces with their log-probabilities, best first, and that of the written one. */
  steps(logProbabilities, target) {
    const { outputs } = this.model.projection;
    const rows = target.map((_, row) => logProbabilities.subarray(row * outputs, (row + 1) * outputs));
    const logProbabilitiesOfPieces = rows.map((row, step) => row[target[step]]);
    const candidates = rows.map((row) =>
      bestContinuations([{ score: 0 }], row, [], CANDIDATES).map(({ piece, score }) => [this.subwords.spelling[piece], score]));
    return { candidates, logProbabilities: logProbabilitiesOfPieces };
  }
}

function textsOf(words) {
  return words.map(({ text }) => text);
}

/** Words' confidences with that of each copied word, which the network did not choose: 1. */
function completed(values, now, count) {
  if (!values) return null;
  const kept = new Map(now.map((word, number) => [word, values[number]]));
  return Array.from({ length: count }, (_, word) => kept.get(word) ?? 1);
}

/** Layers' weights [heads, rows, columns] as one tensor. */
function stacked(layers, heads, rows, columns) {
  if (layers.length === 0) return null;
  const values = new Float32Array(layers.length * heads * rows * columns);
  layers.forEach((layer, number) => values.set(layer, number * layer.length));
  return { layers: layers.length, heads, rows, columns, values };
}

/** A text without words translates to nothing, and what is copied to itself. */
function untranslated(source, whole) {
  const { text, links } = withCopied("", whole, []);
  const targetWords = textsOf(splitWords(text));
  const nothing = { text, pieces: [], score: 0, ended: true, targetWords, links, confidence: null, wordConfidence: null, doubtful: [] };
  return { source, ...nothing, sourceWords: textsOf(whole.words), heads: null, hypotheses: [], tree: [], sentences: [] };
}
