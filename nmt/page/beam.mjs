/** Beam search over one sentence, by the rules of nmt/search/beam.py, with a record of everything that it tried. */

import { lengthPenalty, nBestOf } from "./options.mjs";

/**
 * The `n_best` best hypotheses, best first: [{pieces, logProbability, score, ended, rivals}], and the tree of all.
 *
 * The sentence is decided when `beam` hypotheses have finished, however many are asked for, or at its longest length,
 * where the live ones are taken as they are.
 *
 * The tree is [{parent, piece, logProbability, score, fate, rank}], `<s>` first and each hypothesis after its parent;
 * `score` is what it has or would have if it ended there, and `rank` its place among the finished. Fates are
 * `grew`, `finished`, `pruned` (none of its continuations were among the best) and `stopped` (the search was decided).
 *
 * @param decoder pieces [beam] and a state to log-probabilities [beam * vocabulary] and the next state
 * @param limits {start, end, forbidden, maxLength, forced}; every hypothesis begins with the `forced` pieces
 */
export function beamSearch(decoder, start, limits, options) {
  const { end, forbidden, maxLength, forced } = limits;
  const tree = [{ parent: -1, piece: limits.start, logProbability: 0, score: 0, fate: "pruned", rank: null }];
  let live = [{ pieces: [], last: limits.start, score: 0, node: 0 }];
  let finished = [];
  let finishedCount = 0;
  let state = start;
  for (let length = 1; length <= maxLength; length += 1) {
    const [logProbabilities, next] = decoder(live.map(({ last }) => last), state);
    const banned = length <= options.min_length ? [...forbidden, end] : forbidden;
    // Twice as many as the beam: even if `beam` of them end, `beam` live ones remain.
    const expansion = length <= forced.length
      ? [{ score: live[0].score + logProbabilities[forced[length - 1]], parent: 0, piece: forced[length - 1] }]
      : bestContinuations(live, logProbabilities, banned, 2 * options.beam);
    const penalty = lengthPenalty(length, options.length_penalty);
    const grow = ({ score, parent, piece }, fate) => {
      tree[live[parent].node].fate = "grew";
      return tree.push({ parent: live[parent].node, piece, logProbability: score, score: score / penalty, fate, rank: null }) - 1;
    };
    const finishing = expansion.slice(0, options.beam).filter(({ piece }) => piece === end || length === maxLength);
    finishedCount += finishing.length;
    finished.push(...finishing.map((one) => ({ ...finish(live, one, penalty, end), node: grow(one, "finished") })));
    finished.sort((a, b) => b.score - a.score);
    finished.splice(options.beam);
    const decided = length === maxLength;
    const kept = decided ? [] : expansion.filter(({ piece }) => piece !== end).slice(0, options.beam);
    live = kept.map((one) => ({
      pieces: [...live[one.parent].pieces, one.piece], last: one.piece, score: one.score, node: grow(one, "pruned"),
    }));
    state = next.select(kept.map(({ parent }) => parent));
    if (finishedCount >= options.beam || live.length === 0) break;
  }
  for (const { node } of live) tree[node].fate = "stopped";
  finished.forEach(({ node }, rank) => { tree[node].rank = rank; });
  return { found: nBestOf(finished, options.n_best), tree };
}

function finish(live, { score, parent, piece }, penalty, end) {
  const ended = piece === end;
  const pieces = ended ? live[parent].pieces : [...live[parent].pieces, piece];
  return { pieces, logProbability: score, score: score / penalty, ended };
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
