"""From attention to word alignment: matrices over words, links, their symmetrisation, files and error rate.

Everywhere here a link is (source word, target word), counted from 0, and a matrix is
[target words, source words + 1] with rows that sum to 1, whose last column means "aligned to nothing".
"""

Link = tuple[int, int]
