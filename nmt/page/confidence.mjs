/** How far a translation can be trusted, as nmt/confidence.py. */

import { overlapping } from "./words.mjs";

/** Confidence below it is low. */
export const LOW = 0.5;
/** A word of less confidence is doubtful. */
export const LOW_WORD = 0.3;
/** Of a piece: the engine may find -Infinity. */
const LEAST_LOG_PROBABILITY = -50;

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
 * @param known `KnownWords`, or null
 */
export function evidenceOf(source, target, hypothesis, links, linkProbabilities, known) {
  const words = translated(source);
  const shares = posteriors(hypothesis);
  const found = { ...searchEvidence(hypothesis, shares), ...textEvidence(source, target, words) };
  const byWord = target.words.map(({ text }) => ({
    word_posterior: 1, word_link: 0, word_log_probability: found.log_probability, word_unknown: 0, word_pieces: 0,
    word_letters: Math.log(lengthOf(text)),
  }));
  shares.forEach((share, piece) => {
    for (const word of target.wordsOfPiece[piece]) {
      byWord[word].word_posterior = Math.min(byWord[word].word_posterior, share);
      byWord[word].word_pieces += 1;
    }
  });
  if (links) {
    const [sources, targets] = [0, 1].map((side) => new Set(links.map((link) => link[side])));
    found.linked_source = shareOf(words.map((word) => sources.has(word)));
    found.linked_target = targets.size / Math.max(1, target.words.length);
  }
  if (linkProbabilities && linkProbabilities.values.length > 0) {
    const { columns, values } = linkProbabilities;
    byWord.forEach((one, row) => { one.word_link = Math.max(...values.subarray(row * columns, (row + 1) * columns)); });
    found.link_probability = mean(byWord.map((one) => one.word_link));
  }
  if (known) {
    const checked = words.filter((word) => isSpelled(source, source.words[word]));
    const unknown = new Set(checked.filter((word) => !isKnown(source.words[word].text, known)));
    found.unknown = unknown.size / Math.max(1, checked.length);
    for (const [own, word] of links ?? []) if (unknown.has(own)) byWord[word].word_unknown = 1;
  }
  return [found, byWord];
}

function searchEvidence(hypothesis, shares) {
  const [own, ...others] = [hypothesis, ...hypothesis.rivals].map(({ logProbability, pieces }) =>
    Math.max(logProbability / (pieces.length + 1), LEAST_LOG_PROBABILITY));
  return {
    log_probability: own,
    posterior: shares.length > 0 ? mean(shares) : 1,
    margin: others.length > 0 ? own - Math.max(...others) : 0,
  };
}

function textEvidence(source, target, words) {
  const texts = source.words.map(({ text }) => text);
  const written = new Set(target.words.map(({ text }) => text));
  const lower = texts.filter((text) => lengthOf(text) > 1 && /\p{Lowercase}/u.test(text) && !/[\p{Uppercase}\p{Lt}]/u.test(text));
  return {
    letters: Math.log(lengthOf(target.text) + 1),
    length: Math.abs(Math.log((target.ids.length + 1) / (source.ids.length + 1))),
    pieces: source.ids.length / Math.max(1, words.reduce((sum, word) => sum + lengthOf(texts[word]), 0)),
    repeated: shareOf(lower.map((text) => written.has(text))),
  };
}

/**
 * For each piece the probability, among the search's finished hypotheses, of those that have it (Ueffing and Ney 2007,
 * section 4, over an n-best list without regard to places).
 */
export function posteriors({ pieces, logProbability, rivals }) {
  const most = Math.max(logProbability, ...rivals.map((one) => one.logProbability));
  const [own, ...others] = [logProbability, ...rivals.map((one) => one.logProbability)].map((one) => Math.exp(one - most));
  const total = others.reduce((sum, weight) => sum + weight, own);
  const sets = rivals.map((one) => new Set(one.pieces));
  return pieces.map((piece) => others.reduce((sum, weight, rival) => sum + (sets[rival].has(piece) ? weight : 0), own) / total);
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

function shareOf(truths) {
  return truths.length > 0 ? truths.filter(Boolean).length / truths.length : 0;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mark in pictures: `confidence 0.31 (low)`. */
export function inWords(confidence) {
  return `confidence ${confidence.toFixed(2)}${confidence < LOW ? " (low)" : ""}`;
}

/** The numbers of the doubtful words. */
export function doubtful(wordConfidence) {
  return (wordConfidence ?? []).flatMap((confidence, word) => (confidence < LOW_WORD ? [word] : []));
}
