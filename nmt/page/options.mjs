/** What a search is asked for, as nmt/search/options.py. */

export const DEFAULTS = { beam: 3, n_best: 1, length_penalty: 1, min_length: 0, max_length_factor: 2, max_length_extra: 10 };

/** The checkpoint's decoding defaults, overridden by those of `given` that are set. */
export function searchOptions(decoding, given) {
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null));
  const options = { ...DEFAULTS, ...decoding, ...set };
  if (set.beam === undefined) options.beam = Math.max(options.beam, options.n_best);
  if (!(Number.isInteger(options.beam) && options.beam >= 1 && options.beam <= 64)) {
    throw new RangeError(`beam is ${options.beam}; it must be a whole number from 1 to 64`);
  }
  if (!(Number.isInteger(options.n_best) && options.n_best >= 1 && options.n_best <= options.beam)) {
    throw new RangeError(`nBest is ${options.n_best}; it must be a whole number from 1 to the beam, ${options.beam}`);
  }
  return options;
}

/** Most pieces of a hypothesis for a source of so many pieces, `</s>` counted. */
export function maxLength(options, sourcePieces) {
  const ended = options.min_length ? options.min_length + 1 : 1;
  return Math.max(ended, Math.trunc(options.max_length_factor * sourcePieces) + options.max_length_extra);
}

/** The first `nBest` of a search's finished hypotheses, each with the others as its `rivals`. */
export function nBestOf(found, nBest) {
  return found.slice(0, nBest).map((one, number) => ({ ...one, rivals: found.toSpliced(number, 1) }));
}

/** lp(Y) = ((5 + |Y|) / (5 + 1))^exponent (Wu et al. 2016, equation 14). */
export function lengthPenalty(length, exponent) {
  return ((5 + length) / 6) ** exponent;
}
