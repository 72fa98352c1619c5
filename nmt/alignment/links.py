"""From attention to links.

A matrix is [target words, source words + 1]; its last column is `</s>`, that is "aligned to nothing".
"""

from collections.abc import Sequence

import numpy as np

from nmt.alignment import Link


def argmax_links(matrix: np.ndarray, null: bool = True) -> list[Link]:
    """Each target word with the source word it attends to most; none where that is the last column.

    With `null=False` the last column is left out of the comparison, so that every target word is linked.
    """
    source_words = matrix.shape[1] - 1
    if source_words == 0:
        return []
    best = (matrix if null else matrix[:, :-1]).argmax(axis=1)
    return sorted((int(source), target) for target, source in enumerate(best) if source < source_words)


def threshold_links(matrix: np.ndarray, threshold: float) -> list[Link]:
    """Every link whose weight is above the threshold; the matrix has the last column or not, by its rows' meaning.

    For a matrix with the "nothing" column pass `matrix[:, :-1]`; joint matrices have none.
    """
    targets, sources = np.nonzero(matrix > threshold)
    return sorted(zip(sources.tolist(), targets.tolist(), strict=True))


def transpose(links: Sequence[Link]) -> set[Link]:
    """The links of the other direction: (source, target) for each (target, source)."""
    return {(target, source) for source, target in links}
