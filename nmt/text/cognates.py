"""How much alike two words are written: names, numbers and words of the same origin align by their looks."""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np

BITS = 512


def alike(tables: tuple[Sequence[str], Sequence[str]], words: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """[n], float32, 0 to 1: Dice's coefficient of the letter bigrams of word pairs (Adamson and Boreham 1974).

    `words` are two of [n], numbers into `tables` from 1; pairs with word 0 are 0. Accents do not count. Bigrams are
    hashed into `BITS` bits, so long words may seem a little more alike than they are.
    """
    first, second = (_bigrams(table) for table in tables)
    sizes = [np.bitwise_count(bits).sum(1, dtype=np.int32) for bits in (first, second)]
    both = np.zeros(len(words[0]), np.int32)
    for column in range(first.shape[1]):
        both += np.bitwise_count(first[words[0], column] & second[words[1], column])
    whole = sizes[0][words[0]] + sizes[1][words[1]]
    return (2 * both / np.maximum(whole, 1)).astype(np.float32)


def _bigrams(table: Sequence[str]) -> np.ndarray:
    """[types + 1, BITS / 64], uint64: the set of each word's bigrams, its borders included."""
    bits = np.zeros((len(table) + 1, BITS // 8), np.uint8)
    rows, places = [], []
    for number, word in enumerate(table, 1):
        letters = "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))
        framed = f"^{letters}$"
        found = {zlib.crc32(framed[place : place + 2].encode()) % BITS for place in range(len(framed) - 1)}
        rows += [number] * len(found)
        places += sorted(found)
    row, place = np.array(rows, np.int64), np.array(places, np.int64)
    np.bitwise_or.at(bits, (row, place // 8), np.left_shift(1, place % 8).astype(np.uint8))
    return bits.view(np.uint64)
