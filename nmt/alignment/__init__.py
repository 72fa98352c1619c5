"""From attention to word alignment: matrices over words, links, their symmetrisation, files and error rate.

Everywhere here a link is (source word, target word), counted from 0, and a matrix is
[target words, source words + 1] with rows that sum to 1, whose last column means "aligned to nothing".

The alignment head stands here twice: `head` aligns with it, in numpy; `network` is the same in PyTorch, for training.
It is taught by `nmt.training.alignment`, whose teachers are `hmm` and `mixture`; they read a `word_corpus`.
"""

Link = tuple[int, int]
