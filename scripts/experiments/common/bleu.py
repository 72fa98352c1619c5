"""BLEU as a sum over sentences, so that the bootstrap over sentences costs nothing."""

from __future__ import annotations

import numpy as np
from sacrebleu.metrics import BLEU


class Bleu:
    """Corpus BLEU as a sum over sentences, for the bootstrap over sentences."""

    def __init__(self, targets: list[list[str]], samples: int, seed: int) -> None:
        self.targets, self.metric = targets, BLEU(effective_order=True)
        count = len(targets)
        draw = np.random.default_rng(seed)
        self.weights = draw.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)
        """[samples, sentences]: how often each sentence is drawn."""

    def counts(self, texts: list[str]) -> np.ndarray:
        """[sentences, 10]: matching n-grams and all n-grams for n from 1 to 4, length, closest reference's length."""
        scores = [self.metric.sentence_score(text, group) for text, group in zip(texts, self.targets, strict=True)]
        return np.array([[*one.counts, *one.totals, one.sys_len, one.ref_len] for one in scores])

    @staticmethod
    def of(counts: np.ndarray) -> float:
        """BLEU of summed counts [10], as sacreBLEU's corpus score."""
        matching, total = (counts[part].tolist() for part in (slice(0, 4), slice(4, 8)))
        return BLEU.compute_bleu(matching, total, int(counts[8]), int(counts[9]), smooth_method="exp").score

    def difference(self, first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
        """BLEU of the first less that of the second, and its 95% interval (paired bootstrap: Koehn 2004)."""
        sums = [self.weights @ counts for counts in (first, second)]  # each [samples, 10]
        resampled = [self.of(ahead) - self.of(behind) for ahead, behind in zip(*sums, strict=True)]
        low, high = np.quantile(resampled, [0.025, 0.975])
        return self.of(first.sum(0)) - self.of(second.sum(0)), float(low), float(high)
