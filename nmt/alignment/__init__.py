"""From attention to word alignment: matrices over words, links, their symmetrisation, files and error rate.

A link is (source word, target word), counted from 0. An attention matrix is [target words, source words + 1], with
rows that sum to 1; its last column means "aligned to nothing". Link probabilities are [target words, source words],
each cell a probability of its own.

The alignment head stands here twice: `head` aligns with it, in numpy; `network` is the same in PyTorch, for training.
It is taught by `nmt.training.alignment`, whose teachers are `hmm` and `mixture`; they read a `word_corpus`.
"""

Link = tuple[int, int]
