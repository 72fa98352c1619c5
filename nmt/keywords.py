"""The keyword options of `Translator.translate` and `Translator.stream`: one definition of names, types, defaults."""

from __future__ import annotations

import inspect
import numbers
import reprlib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypedDict, TypeVar, get_args, get_type_hints

from nmt.errors import UserError
from nmt.untrusted import within

Long = Literal["refuse", "split"]
Function = TypeVar("Function", bound=Callable)
MOST_AT_ONCE = 10**9


class SearchKeywords(TypedDict, total=False):
    """How to search or sample. None stands for the checkpoint's own default."""

    beam: int | None
    """Hypotheses kept a step; 1 is greedy search."""
    n_best: int | None
    """Hypotheses returned in `Translation.hypotheses`; more than the beam widen it."""
    length_penalty: float | None
    """Exponent of the length penalty (Wu et al. 2016, equation 14)."""
    min_length: int | None
    """Fewest pieces of a translation."""
    max_length_factor: float | None
    """A translation has at most this many times the source's pieces ..."""
    max_length_extra: int | None
    """... plus this many."""
    temperature: float | None
    """Sample `n_best` translations at this temperature instead of searching; they come in the order drawn (PyTorch)."""
    top_k: int | None
    """Sample from this many likeliest pieces only; 0 samples from all."""
    seed: int | None
    """Seed of the samples. A sample depends on seed and sentence, on nothing else in its batch."""


class TranslateOptions(SearchKeywords, total=False):
    """Options of `Translator.translate`."""

    prefix: str
    """Every translation begins with this text; the text is taken as one sentence (PyTorch)."""
    heads: bool
    """Return every layer's and head's attention too; the text is taken as one sentence (PyTorch)."""
    attention: bool
    """False leaves `Translation.attention` out where links do not need it, which saves time."""
    word_probabilities: bool
    """Return the probability of each word too (PyTorch)."""
    batch_size: int
    """Sentences translated together."""
    long: Long
    """"refuse" a sentence longer than the model takes, or "split" it (`nmt.joining.join_translations`)."""
    one_sentence: bool
    """Translate a text as it is; else its sentences are translated one by one and joined."""


class StreamOptions(TranslateOptions, total=False):
    """Options of `Translator.stream`."""

    read_ahead: int
    """Lines read before their translations are yielded, at most (with CTranslate2 a few chunks of that)."""


DEFAULTS: dict[str, Any] = {
    "prefix": "",
    "heads": False,
    "attention": True,
    "word_probabilities": False,
    "batch_size": 64,
    "long": "refuse",
    "one_sentence": False,
    "read_ahead": 1024,
}
"""Defaults of the options that are not the search's; those are None."""


def with_keywords(options: type) -> Callable[[Function], Function]:
    """Show the keys of a typed dictionary as keywords of a function that takes `**options`.

    `help`, `inspect.signature` and notebooks' completion then list them with types and defaults.
    """
    keywords = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=DEFAULTS.get(name), annotation=kind)
        for name, kind in get_type_hints(options).items()
    ]

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        plain = [one for one in signature.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        function.__signature__ = signature.replace(parameters=[*plain, *keywords])  # type: ignore[attr-defined]
        return function

    return decorate


def check_options(options: Mapping[str, Any], kind: type) -> None:
    """Raise UserError for a name that is not a key of the typed dictionary `kind`, suggesting the nearest, and for a
    value of another type than `DEFAULTS` has; `SearchOptions` checks the others."""
    known = list(get_type_hints(kind))
    for name, value in options.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            there = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise UserError(f"no option {name!r}; {there}")
        wanted = type(DEFAULTS.get(name))
        if wanted is int and not within(value, numbers.Integral, 1, MOST_AT_ONCE):
            raise UserError(f"{name} is {value!r}; it must be a whole number from 1 to {MOST_AT_ONCE:,}")
        if wanted in (bool, str) and not isinstance(value, wanted):
            raise UserError(f"{name} is {value!r}; it must be {'True or False' if wanted is bool else 'text'}")
        if name == "long" and value not in get_args(Long):
            raise UserError(f"long is {value!r}; it must be refuse or split")


def checked_text(value: Any, name: str) -> str:
    """The value, if it is text. Raises UserError."""
    if not isinstance(value, str):
        raise UserError(f"{name} is {reprlib.repr(value)}; it must be text")
    return value
