"""A toy English-Spanish corpus for the quick forms: adjectives that change sides, and sentences of many lengths."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from nmt.files import atomic_path

_NOUNS = [("cat", "gato", "o"), ("house", "casa", "a"), ("boat", "barco", "o"), ("table", "mesa", "a")]
_NOUNS += [("book", "libro", "o"), ("door", "puerta", "a")]
_ADJECTIVES = [("red", "roj"), ("small", "pequeñ"), ("old", "viej"), ("white", "blanc")]
_VERBS = [("sees", "ve"), ("finds", "encuentra"), ("has", "tiene")]
_SIZES = {"train": 400, "dev": 40, "test": 40}


def toy_pair(draw: random.Random, clauses: int) -> tuple[str, str]:
    """Such as ("the red cat sees the house.", "el gato rojo ve la casa."); clauses are joined by "and"."""
    pairs = [_clause(draw) for _ in range(clauses)]
    return " and ".join(source for source, _ in pairs) + ".", " y ".join(target for _, target in pairs) + "."


def write_toy_corpus(directory: Path) -> dict[str, str]:
    """Write train.tsv, dev.tsv and test.tsv unless they exist, always the same; returns their paths."""
    draw = random.Random(1)
    seen: set[tuple[str, str]] = set()
    paths = {}
    for split, size in _SIZES.items():
        pairs: list[tuple[str, str]] = []
        while len(pairs) < size:
            pair = toy_pair(draw, draw.choice([1, 1, 1, 2, 3]))
            if pair not in seen:
                seen.add(pair)
                pairs.append(pair)
        path = directory / f"{split}.tsv"
        paths[split] = str(path)
        if not path.exists():
            with atomic_path(path) as temporary:
                temporary.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return paths


def _clause(draw: random.Random) -> tuple[str, str]:
    english, spanish = draw.choice(_VERBS)
    (subject, sujeto), (thing, cosa) = _noun_phrase(draw), _noun_phrase(draw)
    return f"{subject} {english} {thing}", f"{sujeto} {spanish} {cosa}"


def _noun_phrase(draw: random.Random) -> tuple[str, str]:
    noun, nombre, ending = draw.choice(_NOUNS)
    article = "el" if ending == "o" else "la"
    if draw.random() < 0.5:
        return f"the {noun}", f"{article} {nombre}"
    adjective, stem = draw.choice(_ADJECTIVES)
    return f"the {adjective} {noun}", f"{article} {nombre} {stem}{ending}"


def toy_links(source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
    """The word links of a toy pair: the n-th occurrence of a word belongs to the n-th of its translation."""
    words = {nombre: noun for noun, nombre, _ in _NOUNS} | {verbo: verb for verb, verbo in _VERBS}
    words |= {stem + ending: adjective for adjective, stem in _ADJECTIVES for ending in "oa"}
    words |= {"el": "the", "la": "the", "y": "and"}
    places: dict[str, list[int]] = {}
    for place, word in enumerate(source):
        places.setdefault(word, []).append(place)
    return [(places[words.get(word, word)].pop(0), number) for number, word in enumerate(target)]
