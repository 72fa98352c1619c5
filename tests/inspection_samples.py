"""Synthetic translations for the tests of pictures and pages: plausible shapes, random weights, exact bookkeeping."""

import numpy as np

from nmt.text.words import split_words
from nmt.translation import END_OF_SENTENCE, AttentionMaps, Translation

ENGLISH = [
    word.text
    for word in split_words("She brought me a cup of tea and a piece of the cake that her sister had made on Sunday .")
]
SPANISH = [
    word.text
    for word in split_words(
        "Ella me trajo una taza de té y un pedazo del pastel que su hermana había hecho el domingo ."
    )
]


def random_rows(generator: np.random.Generator, *shape: int, causal: bool = False) -> np.ndarray:
    """Peaked random distributions over the last axis, float32; `causal` zeroes what lies above the diagonal."""
    scores = generator.normal(0.0, 3.0, shape)
    if causal:
        scores = np.where(np.tri(shape[-2], shape[-1], dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)


def diagonal_rows(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """An alignment as real sentences have them: a noisy diagonal, a little weight on the last column (null)."""
    row = np.arange(rows)[:, None] / max(rows - 1, 1) * max(columns - 2, 0)
    scores = -((np.arange(columns)[None, :] - row) ** 2) / 1.2 + generator.normal(0.0, 0.7, (rows, columns))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def pieces_of(words: list[str]) -> tuple[list[str], list[list[int]]]:
    """Words cut into pieces of at most four characters in SentencePiece's manner, with the map back to words."""
    pieces, word_of_piece = [], []
    for number, word in enumerate(words):
        for start in range(0, len(word), 4):
            pieces.append(("▁" if start == 0 else "") + word[start : start + 4])
            word_of_piece.append([number])
    return [*pieces, END_OF_SENTENCE], [*word_of_piece, []]


def synthetic_translation(
    source_words: list[str] | None = None,
    target_words: list[str] | None = None,
    layers: int = 2,
    heads: int = 3,
    hypotheses: int = 1,
    seed: int = 0,
) -> Translation:
    """A translation with every field filled; `layers=0` leaves out the heads."""
    generator = np.random.default_rng(seed)
    source_words = ENGLISH[:8] if source_words is None else source_words
    target_words = SPANISH[:7] if target_words is None else target_words
    attention = diagonal_rows(generator, len(target_words), len(source_words) + 1)
    best = attention.argmax(axis=1)
    alignment = sorted((int(j), i) for i, j in enumerate(best) if j < len(source_words))
    source_pieces, source_map = pieces_of(source_words)
    target_pieces, target_map = pieces_of(target_words)
    maps = None
    if layers:
        source, target = len(source_pieces), len(target_pieces)
        maps = AttentionMaps(
            encoder=random_rows(generator, layers, heads, source, source),
            decoder=random_rows(generator, layers, heads, target, target, causal=True),
            cross=random_rows(generator, layers, heads, target, source),
            source_pieces=source_pieces,
            target_pieces=target_pieces,
            candidates=[
                [(piece, -0.1), ("▁alternative", -2.5), ("▁other", -3.7), ("s", -5.0)] for piece in target_pieces
            ],
        )
    translation = Translation(
        source=" ".join(source_words),
        text=" ".join(target_words),
        score=-0.4 - seed / 8,
        source_words=source_words,
        target_words=target_words,
        attention=attention,
        alignment=alignment,
        heads=maps,
        source_word_of_piece=source_map if layers else [],
        target_word_of_piece=target_map if layers else [],
    )
    if hypotheses > 1:
        others = [
            synthetic_translation(
                source_words, [*target_words[: 1 + n % len(target_words)], f"otra{n}"], layers, heads, seed=seed + n
            )
            for n in range(1, hypotheses)
        ]
        translation = Translation(**{**vars(translation), "hypotheses": [translation, *others]})
    return translation
