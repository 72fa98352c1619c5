/** One translation of a sentence from those of its parts, as nmt/joining.py. */

import { doubtful } from "./confidence.mjs";
import { sorted } from "./links.mjs";
import { overlapping, splitWords } from "./words.mjs";

/** The mean of the parts' values, weighted by their target words. */
export function weightedMean(parts, valueOf) {
  const lengths = parts.map(({ targetWords }) => Math.max(1, targetWords.length));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  return parts.reduce((sum, part, number) => sum + valueOf(part) * lengths[number], 0) / total;
}

/**
 * Replace an aside that a translation has copied by its own translation.
 * @param host the translation of a sentence, as `finished` of translator.mjs makes it
 * @param aside {source, text, first, ...}: the aside, its translation as a fragment, its first word among the source words
 *     of `host`, and the rest of its translation
 */
export function withAside(host, aside) {
  const { text, first } = aside;
  if (!text) return host;
  const start = host.text.indexOf(`(${aside.source})`) + 1;
  const end = start + aside.source.length;
  const [[from, to]] = overlapping([[start, end]], splitWords(host.text));
  const words = splitWords(text).map((word) => word.text);
  const added = words.length - (to - from);
  const moved = (word) => (word < to ? word : word + added);
  const spliced = (own, other) => own && other && [...own.slice(0, from), ...other.slice(0, words.length), ...own.slice(to)];
  const parts = [{ ...host, targetWords: host.targetWords.slice(0, from) }, { ...aside, targetWords: words },
    { ...host, targetWords: host.targetWords.slice(to) }];
  const links = host.links && sorted([
    ...host.links.filter(([, word]) => word < from || word >= to).map(([own, word]) => [own, moved(word)]),
    ...aside.links.filter(([, word]) => word < words.length).map(([own, word]) => [own + first, word + from]),
  ]);
  const wordConfidence = spliced(host.wordConfidence, aside.wordConfidence);
  const { heads } = host;
  return {
    ...host,
    text: host.text.slice(0, start) + text + host.text.slice(end),
    score: weightedMean(parts, (part) => part.score),
    targetWords: spliced(host.targetWords, words),
    links,
    confidence: host.confidence && weightedMean(parts, (part) => part.confidence),
    wordConfidence,
    doubtful: doubtful(wordConfidence),
    heads: heads && { ...heads, targetWordsOfPiece: heads.targetWordsOfPiece.map((covered) => covered.map(moved)) },
  };
}
