"""Hostile text, bytes and values for fuzz.py, all drawn from one seeded generator."""

from __future__ import annotations

import random
from typing import Any

WORDS = ("the", "old", "boat", "leaves", "at", "dawn", "my", "sister", "paints", "small", "birds", "on", "blue", "cups",
         "don't", "wake", "baby", "Ünïcode", "3.14", "e-mail")  # fmt: skip
RANGES = (  # controls, Latin, marks, Hebrew and Arabic, Devanagari, Hangul letters, spaces and directions, kana, Han
    (0x00, 0x20), (0x20, 0x7F), (0x80, 0x250), (0x300, 0x370), (0x590, 0x700), (0x900, 0x980), (0x1100, 0x1200),
    (0x2000, 0x2070), (0x3040, 0x3100), (0x4E00, 0x9FFF),
    # private use, presentation forms, specials, flags, emoji, tags, the last code points
    (0xE000, 0xE010), (0xFB50, 0xFE10), (0xFFF0, 0x10000), (0x1F1E6, 0x1F200), (0x1F300, 0x1FAFF), (0xE0000, 0xE0080),
    (0x10FFF0, 0x110000),
)  # fmt: skip
SPECIMENS = (
    "", " ", "\t", "\ufeff", "a\ufeffb", "\u202eright to left\u202c", "שלום עולם, מה שלומך?", "مرحبا بالعالم؟",
    "👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇪🇸", "e\u0301\u0301\u0301", "line\u2028separator\u2029and\x85next", "null\0null", "|||", "a\rb",
    "</s> <s> <pad> <unk> <0x0A> ▁▁", "\\ud800 \\n \" ' {}", "<script>alert(1)</script>",
)  # fmt: skip
VARIANTS = {"'": "'‘’ʼ´`", '"': '"“”„«»', "-": "-‐‑–—−", " ": " \u00a0\u2009\u202f\u3000\t"}
INVISIBLE = "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a\u202c"
BAD_BYTES = (b"\xff", b"\x80", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\xf0\x9f\x98", b"\xc3")
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 10**9, -(10**9), 2**63, 10**30, 0.0, -0.5, 1e308, 5e-324, float("nan"),
    float("inf"), "", "x", "../x", "/etc/passwd", "\0", "\ud800", "9" * 400, [], [None], {}, {"a": []}, "transformer",
)  # fmt: skip
DOCUMENTS = (
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "[" * 3000, "{" * 3000, "- " * 3000, "&a [*a]", "<<: {a: 1}",
    "a: !!python/object:os.system x", "? [a, b]\n: c", "1: 2", "2024-13-45: x", "training: 2024-99-99", "---\n---\n",
    "%YAML 9.9\n---\na: 1", "a: 1\na: 2", "0x: 1", "a: 1:1:1:1:1:1:1", "x: !!binary zzzz", "x: !!int z", "\t", "\u0085",
    "x: !!float z", "x: !!timestamp z", "x: !!bool z", "x: !!set [1]", "a: .nan", "data: 0x", "a: 0b", "a: 08",
)  # fmt: skip


def text(chance: random.Random, most: int = 16) -> str:
    """Any Unicode text without line feeds; mostly short, sometimes of ordinary words."""
    kind = chance.random()
    if kind < 0.15:
        return chance.choice(SPECIMENS)
    if kind < 0.5:
        return " ".join(chance.choices(WORDS, k=chance.randint(1, 12)))
    if kind < 0.505:
        return "".join(character(chance) for _ in range(chance.randint(40, 300)))
    if kind < 0.51:
        return " ".join(chance.choices(WORDS, k=chance.randint(50, 150))) + chance.choice(("", ".", "? " * 3))
    return "".join(character(chance) for _ in range(chance.randint(0, most)))


def character(chance: random.Random) -> str:
    """One character of a range drawn first, so that rare scripts are not rare; never a line feed."""
    found = chr(chance.randrange(*chance.choice(RANGES)))
    return " " if found == "\n" else found


def in_other_clothes(chance: random.Random, sentence: str) -> str:
    """The same sentence: other quotes, dashes and spaces, more spaces, and invisible characters."""
    dressed = ""
    for letter in sentence:
        dressed += chance.choice(VARIANTS.get(letter, letter)) if chance.random() < 0.5 else letter
        if letter == " " and chance.random() < 0.1:
            dressed += chance.choice(VARIANTS[" "])
        if chance.random() < 0.1:
            dressed += chance.choice(INVISIBLE)
    return chance.choice(("", "", " ", "\u00a0 ")) + dressed + chance.choice(("", "", " ", "\t"))


def bad_line(chance: random.Random) -> bytes:
    """A line that is not UTF-8."""
    return text(chance).encode() + chance.choice(BAD_BYTES) + b" " + text(chance).encode()


def mutated(chance: random.Random, content: bytes, near: int | None = None) -> bytes:
    """The content with some bytes changed, cut off, doubled or put in; `near` keeps to the first so many bytes."""
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16))):
        place = chance.randrange(min(near or len(changed), len(changed)) or 1)
        kind = chance.randrange(6)
        if kind == 0:
            del changed[place:]
        elif kind == 1:
            del changed[place : place + chance.randint(1, 64)]
        elif kind == 2:
            changed[place:place] = chance.randbytes(chance.randint(1, 16))
        elif kind == 3:
            changed[place : place + 8] = chance.choice((b"\xff" * 8, b"\0" * 8, b"\xff\xff\xff\x7f", b"\0\0\0\x80"))
        elif changed:
            changed[min(place, len(changed) - 1)] ^= 1 << chance.randrange(8)
        if not changed:
            break
    return bytes(changed)


def altered(chance: random.Random, tree: Any) -> Any:
    """A tree of plain values with one to three of its keys lost, renamed or given another value."""
    for _ in range(chance.choice((1, 1, 2, 3))):
        places = list(_places(tree))
        if not places:
            return chance.choice(VALUES)
        holder, key = chance.choice(places)
        kind = chance.random()
        if kind < 0.15:
            del holder[key]
        elif kind < 0.25 and isinstance(holder, dict):
            holder[chance.choice(("x", "../x", "/etc/passwd", "", text(chance)))] = holder.pop(key)
        elif kind < 0.5 and type(holder[key]) in (int, float):
            try:
                holder[key] = type(holder[key])(holder[key] * chance.choice((-1, 0, 0.5, 2, 3, 1000, 1e6)))
            except OverflowError:
                holder[key] = 0
        else:
            value = chance.choice(VALUES)
            holder[key] = value.copy() if isinstance(value, dict | list) else value
    return tree


def _places(tree: Any) -> Any:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield tree, key
        yield from _places(value)
