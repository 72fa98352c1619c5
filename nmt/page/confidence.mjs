/** How far a translation can be trusted, as nmt/confidence.py. */

import { overlapping } from "./words.mjs";

/** Confidence below it is low. */
export const LOW = 0.5;
/** A word of less confidence is doubtful. */
export const LOW_WORD = 0.3;
/** Floor of the mean log-probability per piece. */
const LEAST_LOG_PROBABILITY = -50;
/** What hypotheses are compared by. */
const LETTERS_IN_A_ROW = 3;

/** P(the translation is good) = 1 / (1 + exp(-(intercept + sum of weight times evidence))), also for words. */
export class Calibration {
  /** @param weights by the names of the evidence; what is missing has no weight */
  constructor(weights) {
    this.weights = weights;
  }

  /** The confidence in a translation, 0 to 1, by its evidence {name: value}. */
  confidence(evidence) {
    return this.probability("intercept", evidence);
  }

  /** The confidence in each word, 0 to 1, by the evidence for each; null without weights for it. */
  words(evidence) {
    return "word_intercept" in this.weights ? evidence.map((one) => this.probability("word_intercept", one)) : null;
  }

  probability(intercept, evidence) {
    const terms = Object.entries(evidence).map(([name, value]) => (this.weights[name] ?? 0) * value);
    return 1 / (1 + Math.exp(-terms.reduce((sum, term) => sum + term, this.weights[intercept] ?? 0)));
  }
}

/**
 * The evidence for one hypothesis and for each of its words: [{name: value}, [{name: value}]].
 * @param source, target the sentence and its translation, before what was copied is put back
 * @param hypothesis {pieces, logProbability, rivals}, as the search returned it
 * @param links [[source word, target word]]; null from a model without attention
 * @param linkProbabilities {columns, values} [target words, source words], from the alignment head; or null
 * @param subwords the spelling of pieces, and the words of the training corpus
 */
export function evidenceOf(source, target, hypothesis, links, linkProbabilities, subwords) {
  const spelled = ({ pieces }) => subwords.pieces(pieces).join("");
  const written = spelled(hypothesis);
  const [letters, pieces] = [Math.max(1, lengthOf(written)), hypothesis.pieces.length + 1];
  const logProbability = Math.max(Math.min(hypothesis.logProbability, 0), pieces * LEAST_LOG_PROBABILITY);
  const found = {
    surprise: Math.sqrt(-logProbability / letters),
    letters: Math.log(letters),
    agreement: agreement(written, hypothesis.rivals.map(spelled), hypothesis.rivals.map((one) => one.logProbability)),
  };
  const byWord = target.words.map(({ text }) => ({
    word_posterior: 1, word_link: 0, word_log_probability: logProbability / pieces, word_unknown: 0, word_pieces: 0,
    word_letters: Math.log(lengthOf(text)),
  }));
  posteriors(hypothesis).forEach((share, piece) => {
    for (const word of target.wordsOfPiece[piece]) {
      byWord[word].word_posterior = Math.min(byWord[word].word_posterior, share);
      byWord[word].word_pieces += 1;
    }
  });
  if (linkProbabilities && linkProbabilities.values.length > 0) {
    const { columns, values } = linkProbabilities;
    byWord.forEach((one, row) => { one.word_link = Math.max(...values.subarray(row * columns, (row + 1) * columns)); });
  }
  if (subwords.known) {
    const checked = translated(source).filter((word) => isSpelled(source, source.words[word]));
    const unknown = new Set(checked.filter((word) => !isKnown(source.words[word].text, subwords.known)));
    found.unknown = unknown.size / Math.max(1, checked.length);
    for (const [own, word] of links ?? []) if (unknown.has(own)) byWord[word].word_unknown = 1;
  }
  return [found, byWord];
}

/**
 * How alike a translation and others are, 0 to 1: the Dice coefficient of the sets of their `LETTERS_IN_A_ROW`, on average by
 * the others' probability; 1 without any.
 */
export function agreement(written, others, logProbabilities) {
  if (others.length === 0) return 1;
  const own = rowsOfLetters(written);
  const shares = sharesOf(logProbabilities);
  return others.map(rowsOfLetters).reduce((sum, other, number) => {
    const common = [...own].filter((row) => other.has(row)).length;
    return sum + (shares[number] * 2 * common) / (own.size + other.size);
  }, 0);
}

function rowsOfLetters(text) {
  const letters = [...text];
  const count = Math.max(1, letters.length - LETTERS_IN_A_ROW + 1);
  return new Set(Array.from({ length: count }, (_, start) => letters.slice(start, start + LETTERS_IN_A_ROW).join("")));
}

/**
 * Posterior of each piece: the share of the finished hypotheses' probability held by those that contain it, at any position
 * (Ueffing and Ney 2007, section 4, over an n-best list).
 */
export function posteriors(hypothesis) {
  const all = [hypothesis, ...hypothesis.rivals];
  const shares = sharesOf(all.map((one) => one.logProbability));
  const sets = all.map(({ pieces }) => new Set(pieces));
  return hypothesis.pieces.map((piece) => shares.reduce((sum, share, number) => sum + (sets[number].has(piece) ? share : 0), 0));
}

/** The probabilities divided by their sum. */
function sharesOf(logProbabilities) {
  const most = Math.max(...logProbabilities);
  const weights = logProbabilities.map((one) => Math.exp(one - most));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}

/** The words that are not copied. */
function translated(source) {
  const copied = overlapping(source.copied, source.words);
  return source.words.map((_, word) => word).filter((word) => !copied.some(([first, end]) => first <= word && word < end));
}

/** Whether a word is of letters and has no placeholder. */
function isSpelled(source, { text, start, end }) {
  const slots = [...source.slots.values()];
  const replaced = slots.some(([first, last]) => (first <= start && end <= last) || source.text.slice(first, last) === text);
  return !replaced && /^\p{L}/u.test(text) && !/\p{Nd}/u.test(text);
}

function isKnown(word, { words }) {
  const text = word.replaceAll("’", "'").replace(/'s$/, "");
  const [first, ...rest] = text;
  const capitalized = first === undefined ? "" : first.toUpperCase() + rest.join("").toLowerCase();
  return [text, text.toLowerCase(), capitalized].some((form) => words.has(form));
}

/** Characters as Python counts them. */
function lengthOf(text) {
  return [...text].length;
}

/** The mark in pictures: `confidence 0.31 (low)`. */
export function inWords(confidence) {
  return `confidence ${confidence.toFixed(2)}${confidence < LOW ? " (low)" : ""}`;
}

/** The numbers of the doubtful words. */
export function doubtful(wordConfidence) {
  return (wordConfidence ?? []).flatMap((confidence, word) => (confidence < LOW_WORD ? [word] : []));
}
