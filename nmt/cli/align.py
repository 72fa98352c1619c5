"""Align the words of sentence pairs.

examples:
  nmt-align --source english.txt --target spanish.txt > links.txt
  nmt-align pairs.tsv --format json | jq .alignment
  echo "Where is the station? ||| ¿Dónde está la estación?" | nmt-align
  nmt-align --pretokenized --source english.tok --target spanish.tok --symmetrize grow-diag-final-and
  nmt-align --gold data/alignments/tatoeba-en-es-dev.tsv
  nmt-align --learn --source corpus.en --target corpus.de --minutes 2 > links.txt
  nmt-align --learn --source corpus.en --target corpus.de --save aligner --resume > links.txt   # after a kill

Links are source-target, counted from 0 (Pharaoh form), one line a pair. They count the word and punctuation
tokens of each side, with --pretokenized the words between spaces.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmt.alignment import Link
from nmt.alignment.links import argmax_links, transpose
from nmt.alignment.pharaoh import format_links
from nmt.alignment.pieces import word_attention
from nmt.alignment.pretokenized import JoinedWords, given_words, join_words, links_over_given_words, written_words
from nmt.alignment.symmetrization import SYMMETRIZATIONS
from nmt.cli.common import add_shared, answered, check_writable, command, parser, with_progress, writer
from nmt.cli.learn import add_learn_arguments, check_options, corpus_pairs, learn, save_head
from nmt.confidence import is_known
from nmt.errors import UserError
from nmt.lines import arriving_lines, in_chunks, parallel_lines
from nmt.text.words import split_words

if TYPE_CHECKING:
    from nmt.alignment.head import AlignedPair
    from nmt.alignment.learned import LearnedAligner
    from nmt.text.names import KnownWords
    from nmt.translator import Translator

HOW_TO_GIVE_PAIRS = (
    "give pairs as lines of `source ||| target` on standard input, as one FILE.tsv, or with --source FILE --target FILE"
)
Choice = Callable[["AlignedPair"], list[Link]]
"""Which links of a pair are taken."""
STYLES: dict[str, Choice] = {"precise": lambda aligned: aligned.links, "full": lambda aligned: aligned.full_links}
READ_AHEAD = 256
"""Pairs aligned together, enough to fill batches."""
WARNINGS = 10
"""Pairs without words, or with too many, that are told one by one."""


class Pair(NamedTuple):
    """A pair as running text, with the words that links refer to."""

    source: JoinedWords
    target: JoinedWords


class Aligned(NamedTuple):
    """The output for one pair; no matrix if it could not be aligned."""

    source_words: list[str]
    target_words: list[str]
    links: list[Link]
    matrix: np.ndarray | None
    """[target words, source words + 1]: rows sum to 1, the last column is "aligned to nothing"."""


def main(arguments: list[str]) -> None:
    """Parse the arguments and align."""
    options = make_parser().parse_args(arguments)
    if bool(options.source) != bool(options.target):
        raise UserError("give --source and --target together: line n of one is translated by line n of the other")
    if options.source == options.target == "-":
        raise UserError("--source and --target cannot both be standard input; give lines of `source ||| target` there")
    exclusive = (options.pairs, options.source, None if options.learn else options.gold)
    if sum(map(bool, exclusive)) > 1:
        raise UserError("give one of FILE.tsv, --source with --target, and --gold")
    if options.gold and options.pretokenized:
        raise UserError("the gold links count word and punctuation tokens: leave --pretokenized out")
    if options.symmetrize and options.links:
        raise UserError("give one of --symmetrize and --links: each says how links are chosen")
    if options.gold and options.format == "json":
        raise UserError("--gold prints scores, not links: leave --format out")
    check_writable(options.output, read=[options.pairs, options.source, options.target, options.gold])
    check_options(options)
    if options.pairs not in (None, "-") and not os.path.exists(options.pairs):
        raise UserError(f"cannot read {options.pairs}: no such file; {HOW_TO_GIVE_PAIRS}")
    from nmt.translator import Translator

    learned = learn(_learned_texts(options), options) if options.learn else None
    aligner = learned or Translator.load(options.checkpoint)
    choose = SYMMETRIZED[options.symmetrize] if options.symmetrize else STYLES[options.links or "precise"]
    try:
        with writer(options.output) as output:
            if options.gold:
                print(score_gold(aligner, options.gold, choose), file=output)
                return
            pairs = as_given(answered(read_pairs(options), output), options.pretokenized)
            aligned = align(aligner, pairs, choose)
            if isinstance(aligner, Translator) and (known := aligner.subwords.known_words):
                aligned = with_warning(aligned, known, aligner.source)
            for pair in with_progress(aligned, "pairs", wanted=options.output is not None):
                print(FORMATS[options.format](pair), file=output)
    finally:  # neither links nor head are lost where the other cannot be written
        if learned and options.save:
            save_head(learned, options)


def _learned_texts(options) -> Iterator[tuple[str, str]]:
    """The pairs to align as running text; none if only `--corpus` is given."""
    if options.gold:
        from nmt.alignment.error_rate import read_gold
        from nmt.alignment.gold import english_spanish_corpus, find_sentences

        yield from find_sentences(read_gold(options.gold), english_spanish_corpus())
    if options.pairs or options.source:
        given = as_given(read_pairs(options), options.pretokenized)
        yield from ((pair.source.text, pair.target.text) for pair in given if pair is not None)


def make_parser():
    """The command's arguments."""
    arguments = parser("nmt-align", __doc__, HOW_TO_GIVE_PAIRS)
    arguments.add_argument(
        "pairs",
        nargs="?",
        metavar="FILE.tsv",
        help="tab-separated source and target (default: lines of `source ||| target` on standard input)",
    )
    arguments.add_argument(
        "--source", metavar="FILE", help="source sentences, one a line, in the checkpoint's source language"
    )
    arguments.add_argument("--target", metavar="FILE", help="their translations, line by line")
    add_shared(arguments, "--output", "--checkpoint")
    arguments.add_argument(
        "--pretokenized",
        action="store_true",
        help="the input is tokenized: spaces separate the words that links count; the model reads `do n't` as `don't`",
    )
    arguments.add_argument(
        "--links",
        choices=list(STYLES),
        metavar="STYLE",
        help="precise: words that translate each other; full: articles and prepositions too, with the word that they "
        "belong to (default: precise)",
    )
    arguments.add_argument(
        "--symmetrize",
        choices=list(SYMMETRIZATIONS),
        metavar="METHOD",
        help="join the two directions' arg-max links by this method instead of the head's own decision: "
        + ", ".join(SYMMETRIZATIONS),
    )
    arguments.add_argument(
        "--format",
        choices=list(FORMATS),
        default="pharaoh",
        help="pharaoh: `0-0 1-2`; json: an object a line with words, matrix, links and their scores (default: pharaoh)",
    )
    add_shared(arguments, "--invalid-utf8")
    arguments.add_argument(
        "--gold",
        metavar="FILE.tsv",
        help="align the numbered pairs of this file of gold links instead, and print AER, precision, recall and F1",
    )
    add_learn_arguments(arguments)
    return arguments


def read_pairs(options) -> Iterator[tuple[str, ...] | None]:
    """Yield the pairs that the arguments name, and None before each wait for more."""
    if options.corpus and not options.pairs and not options.source:
        yield from corpus_pairs(options.corpus)
        return
    if options.source:
        yield from parallel_lines((options.source, options.target), options.invalid_utf8)
        return
    number = 0
    for line in arriving_lines(options.pairs, options.invalid_utf8):
        if line is None:
            yield None
            continue
        number += 1
        sides = line.split("\t")[:2] if options.pairs else line.split("|||")
        if not line.strip():
            yield "", ""
        elif len(sides) == 2:
            yield sides[0].strip(), sides[1].strip()
        elif options.pairs:
            raise UserError(f"{options.pairs}, line {number}: no tab between source and target")
        else:
            raise UserError(f"standard input, line {number}: write one `source ||| target` a line, with one |||")


def as_given(pairs: Iterable[tuple[str, ...] | None], pretokenized: bool) -> Iterator[Pair | None]:
    """Each side as running text: pretokenized words joined, or the sentence as it is."""
    for pair in pairs:
        if pair is None:
            yield None
        elif pretokenized:
            yield Pair(*(join_words(given_words(side)) for side in pair))
        else:
            yield Pair(*map(written_words, pair))


def align(aligner: Translator | LearnedAligner, pairs: Iterable[Pair | None], choose: Choice) -> Iterator[Aligned]:
    """Align a stream of pairs in order. A pair that cannot be aligned yields no links; the first `WARNINGS` of these
    print a warning, and the others are counted in one at the end.

    `choose` is one of `STYLES` or `SYMMETRIZED`. A None among the pairs asks for the alignments of all before it.
    """
    number = unaligned = 0
    for chunk in in_chunks(pairs, READ_AHEAD):
        texts = [(pair.source.text, pair.target.text) for pair in chunk or []]
        for pair, aligned in zip(chunk or [], aligner.align(texts) if texts else [], strict=True):
            number += 1
            obstacle = _obstacle(aligned)
            if obstacle:
                unaligned += 1
                if unaligned <= WARNINGS:
                    print(f"nmt-align: warning: pair {number} is not aligned: {obstacle}", file=sys.stderr)
                yield Aligned(pair.source.words, pair.target.words, [], None)
            else:
                yield _over_given_words(pair, aligned, choose(aligned))
    if unaligned > WARNINGS:
        print(f"nmt-align: warning: {unaligned:,} of {number:,} pairs are not aligned", file=sys.stderr)


def with_warning(pairs: Iterable[Aligned], known: KnownWords, language: str) -> Iterator[Aligned]:
    """The same pairs; after the last, one warning if most source words are not `known` words of `language`."""
    total = unknown = 0
    for pair in pairs:
        words = [word for word in pair.source_words if word[0].isalpha()]
        total += len(words)
        unknown += sum(not is_known(word, known) for word in words)
        yield pair
    if 2 * unknown > total:
        warnings.warn(
            f"the checkpoint, which aligns from {language}, does not know {unknown:,} of {total:,} source words; "
            "--learn aligns other languages",
            stacklevel=2,
        )


def _obstacle(aligned: AlignedPair) -> str | None:
    from nmt.alignment.head import LONGEST

    for side, words in (("source", aligned.source_words), ("target", aligned.target_words)):
        if not words:
            return f"its {side} has no words"
        if len(words) > LONGEST:
            return f"its {side} has {len(words)} words; the model takes at most {LONGEST}"
    return None


def _symmetrized(method: Callable, aligned: AlignedPair) -> list[Link]:
    """The arg-max links of both directions joined."""
    return method(argmax_links(aligned.matrix), transpose(argmax_links(aligned.reverse_matrix)))


SYMMETRIZED = {name: partial(_symmetrized, method) for name, method in SYMMETRIZATIONS.items()}


def _over_given_words(pair: Pair, aligned: AlignedPair, links: list[Link]) -> Aligned:
    """Map the model's tokens to the given words; the two are the same unless pretokenized."""
    source = pair.source.words_of_tokens(split_words(pair.source.text))
    target = pair.target.words_of_tokens(split_words(pair.target.text))
    sides = (source, pair.source.spans), (target, pair.target.spans)
    if all(side == [[number] for number in range(len(spans))] for side, spans in sides):
        return Aligned(pair.source.words, pair.target.words, links, aligned.matrix)
    matrix = word_attention(aligned.matrix, [*source, []], target, len(pair.source.spans), len(pair.target.spans))
    return Aligned(pair.source.words, pair.target.words, links_over_given_words(links, source, target), matrix)


def score_gold(aligner: Translator | LearnedAligner, path: str, choose: Choice) -> str:
    """Align the pairs of a gold file and return their scores as text.

    Raises UserError for a malformed file and for a checkpoint of other languages.
    """
    from nmt.alignment.error_rate import read_gold, score
    from nmt.alignment.gold import english_spanish_corpus, find_sentences

    gold = read_gold(path)
    languages = aligner.source, aligner.target
    if sorted(languages) != ["en", "es"]:
        raise UserError(
            f"the gold links are English-Spanish and the checkpoint is {'-'.join(languages)}: choose another"
        )
    pairs = find_sentences(gold, english_spanish_corpus())
    if languages == ("en", "es"):
        links = [pair.links for pair in align(aligner, as_given(pairs, False), choose)]
    else:
        flipped = align(aligner, as_given([(spanish, english) for english, spanish in pairs], False), choose)
        links = [sorted(transpose(pair.links)) for pair in flipped]
    return f"{score(links, gold)}  ({len(gold)} pairs)"


def _as_pharaoh(pair: Aligned) -> str:
    return format_links(pair.links)


def _as_json(pair: Aligned) -> str:
    matrix = [] if pair.matrix is None else pair.matrix.tolist()
    return json.dumps(
        {
            "source_words": pair.source_words,
            "target_words": pair.target_words,
            "matrix": matrix,
            "alignment": format_links(pair.links),
            "scores": [matrix[target][source] for source, target in pair.links],
        },
        ensure_ascii=False,
    )


FORMATS = {"pharaoh": _as_pharaoh, "json": _as_json}


entry = command("nmt-align", main)

if __name__ == "__main__":
    sys.exit(entry())
