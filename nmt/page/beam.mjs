/** Beam search over one sentence, by the rules of nmt/search/beam.py. */

import { lengthPenalty } from "./options.mjs";

/**
 * The `n_best` best hypotheses, best first: [{pieces, logProbability, score, ended}].
 *
 * The sentence is decided when `beam` hypotheses have finished, when no live one can still reach the n-best list, or at
 * its longest length, where the live ones are taken as they are.
 *
 * @param decoder pieces [beam] and a state to log-probabilities [beam * vocabulary] and the next state
 * @param limits {start, end, forbidden, maxLength}
 */
export function beamSearch(decoder, start, limits, options) {
  const { end, forbidden, maxLength } = limits;
  let live = [{ pieces: [], last: limits.start, score: 0 }];
  let finished = [];
  let finishedCount = 0;
  let state = start;
  for (let length = 1; length <= maxLength; length += 1) {
    const [logProbabilities, next] = decoder(live.map(({ last }) => last), state);
    const banned = length <= options.min_length ? [...forbidden, end] : forbidden;
    // Twice as many as the beam: even if `beam` of them end, `beam` live ones remain.
    const expansion = bestContinuations(live, logProbabilities, banned, 2 * options.beam);
    const penalty = lengthPenalty(length, options.length_penalty);
    const finishing = expansion.slice(0, options.beam).filter(({ piece }) => piece === end || length === maxLength);
    finishedCount += finishing.length;
    finished = [...finished, ...finishing.map((one) => finish(live, one, penalty, end))];
    finished = finished.toSorted((a, b) => b.score - a.score).slice(0, options.beam);
    const kept = expansion.filter(({ piece }) => piece !== end).slice(0, options.beam);
    live = kept.map(({ score, parent, piece }) => ({ pieces: [...live[parent].pieces, piece], last: piece, score }));
    state = next.select(kept.map(({ parent }) => parent));
    if (finishedCount >= options.beam || isBeaten(live, finished, maxLength, options)) break;
  }
  return finished.slice(0, options.n_best);
}

function finish(live, { score, parent, piece }, penalty, end) {
  const ended = piece === end;
  const pieces = ended ? live[parent].pieces : [...live[parent].pieces, piece];
  return { pieces, logProbability: score, score: score / penalty, ended };
}

/** A log-probability only falls and the penalty only grows, so the best live one can reach no more than this. */
function isBeaten(live, finished, maxLength, options) {
  const worst = finished[options.n_best - 1]?.score ?? -Infinity;
  return live.length === 0 || live[0].score / lengthPenalty(maxLength, options.length_penalty) <= worst;
}

/** The `count` best of all continuations, best first: [{score, parent, piece}]. */
export function bestContinuations(live, logProbabilities, banned, count) {
  const vocabulary = logProbabilities.length / live.length;
  const best = [];
  live.forEach(({ score }, parent) => {
    const first = parent * vocabulary;
    for (const piece of banned) logProbabilities[first + piece] = -Infinity;
    let lowest = best.length < count ? -Infinity : best.at(-1).score;
    for (let piece = 0; piece < vocabulary; piece += 1) {
      const total = score + logProbabilities[first + piece];
      if (total <= lowest) continue;
      let place = best.length;
      while (place > 0 && best[place - 1].score < total) place -= 1;
      best.splice(place, 0, { score: total, parent, piece });
      if (best.length > count) best.pop();
      if (best.length === count) lowest = best.at(-1).score;
    }
  });
  return best;
}
