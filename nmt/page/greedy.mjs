/** Greedy search: the likeliest piece at every step, as nmt/search/greedy.py. */

import { lengthPenalty } from "./options.mjs";

/** One hypothesis [{pieces, logProbability, score, ended}], in the arguments and the form of `beamSearch`. */
export function greedySearch(decoder, start, limits, options) {
  const pieces = [];
  let [state, last, total] = [start, limits.start, 0];
  for (let length = 1; ; length += 1) {
    const [logProbabilities, next] = decoder([last], state);
    for (const piece of limits.forbidden) logProbabilities[piece] = -Infinity;
    if (length <= options.min_length) logProbabilities[limits.end] = -Infinity;
    last = 0;
    for (let piece = 1; piece < logProbabilities.length; piece += 1) {
      if (logProbabilities[piece] > logProbabilities[last]) last = piece;
    }
    total += logProbabilities[last];
    state = next;
    const ended = last === limits.end;
    if (!ended) pieces.push(last);
    if (ended || length >= limits.maxLength) {
      return [{ pieces, logProbability: total, score: total / lengthPenalty(length, options.length_penalty), ended }];
    }
  }
}
