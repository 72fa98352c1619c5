"""From attention to links.

Attention matrices are [target words, source words + 1]; their last column, `</s>`, means "aligned to nothing".
"""

from collections.abc import Sequence

import numpy as np

from nmt.alignment import Link

LEAST = 0.25
"""Least attention that links a source word which is no target word's argmax."""


def argmax_links(matrix: np.ndarray) -> list[Link]:
    """Link each target word to the source word that it attends to most, unless that is the last column."""
    source_words = matrix.shape[1] - 1
    best = matrix.argmax(axis=1)
    return sorted((int(source), target) for target, source in enumerate(best) if source < source_words)


def attention_links(matrix: np.ndarray) -> list[Link]:
    """`argmax_links`, plus each source word that these leave out, linked to the target word that attends to it most if
    by at least `LEAST` (tuned on development sentences)."""
    links = argmax_links(matrix)
    if not len(matrix):
        return links
    weights = matrix[:, :-1]
    free = set(range(weights.shape[1])) - {source for source, _ in links}
    looked = weights.argmax(axis=0)  # [source words]: the target word
    return sorted([*links, *((own, int(looked[own])) for own in free if weights[looked[own], own] >= LEAST)])


def threshold_links(matrix: np.ndarray, threshold: float) -> list[Link]:
    """Links with a weight above the threshold; the matrix [target words, source words] has no last column."""
    targets, sources = np.nonzero(matrix > threshold)
    return sorted(zip(sources.tolist(), targets.tolist(), strict=True))


def transpose(links: Sequence[Link]) -> set[Link]:
    """Reverse the direction of links."""
    return {(target, source) for source, target in links}
