"""Translate text, one sentence a line, with its alignment.

examples:
  nmt-translate "Where is the station?"
  nmt-translate "She brought me a cup of tea." --show alignment
  nmt-translate "She brought me a cup of tea." --plot tea.png
  nmt-translate "She brought me a cup of tea." --plot tea.html    every layer and head, to explore
  nmt-translate --input english.txt --output spanish.txt
  nmt-translate --input pages.txt --long split --invalid-utf8 replace
  cat english.txt | nmt-translate --format json | jq .alignment
  nmt-translate "He knows." --beam 8 --n-best 3
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from nmt.cli.common import (
    TRANSLATING,
    add_shared,
    answered,
    check_arguments,
    check_writable,
    command,
    draw,
    in_one_line,
    parser,
    searching,
    wants_colour,
    with_progress,
    writer,
)
from nmt.errors import UserError
from nmt.inspection.formats import PAGE, picture_format
from nmt.lines import arriving_lines

if TYPE_CHECKING:
    from nmt.translation import Translation

PICTURES_AT_MOST = 100


def main(arguments: list[str]) -> None:
    """Parse the arguments and translate."""
    options = make_parser().parse_args(arguments)
    if options.text and options.input:
        raise UserError("give TEXT or --input, not both")
    if options.show and options.format == "json":
        raise UserError("--show draws below each translation in text; leave it or --format json out")
    if options.link_probabilities and options.format != "json":
        raise UserError("--link-probabilities adds to --format json: give it too")
    check_writable(options.output, options.plot, options.attention, read=[options.input])
    plot = options.plot and picture_format(options.plot)
    if options.attention and not options.attention.lower().endswith(".safetensors"):
        raise UserError(f"cannot write {options.attention}: --attention writes .safetensors, so name it that")
    given = check_arguments(options.text, options.invalid_utf8, "--input {}")
    from nmt.confidence import with_warning
    from nmt.translator import READ_AHEAD, Translator

    translator = Translator.load(options.checkpoint, options.engine, options.threads)
    if options.show or options.plot or options.attention:
        translator.require_attention()
    kept: list = []
    with writer(options.output) as output:
        options.marked = wants_colour(output)
        lines = given or answered(arriving_lines(options.input, options.invalid_utf8), output)
        translations = translator.stream(
            lines,
            heads=bool(options.attention) or plot == PAGE,
            attention=options.format == "json" or bool(options.show or options.plot),
            read_ahead=len(given) or READ_AHEAD,
            long=options.long,
            **searching(options),
        )
        progress = with_progress(translations, "sentences", wanted=options.output is not None)
        for number, translation in enumerate(with_warning(progress, translator.source)):
            for line in FORMATS[options.format](number, translation, options):
                print(line, file=output)
            if options.show or options.plot or options.attention:
                _check_drawable(number, translation, options)
            if options.show and translation.source_words:
                from nmt.inspection.terminal import render_alignment

                width = shutil.get_terminal_size((80, 24)).columns
                print(render_alignment(translation, width, options.marked), file=output)
            if options.plot or options.attention:
                kept.append(translation)
                if len(kept) > PICTURES_AT_MOST:
                    raise UserError(f"--plot and --attention take at most {PICTURES_AT_MOST} sentences")
    if options.plot:
        draw(kept, options.plot)
    if options.attention:
        _save_attention(kept, options.attention)


def _check_drawable(number: int, translation: Translation, options) -> None:
    """Raises UserError for a translation without the matrix or the heads that are to be shown."""
    if (options.show or options.plot) and not translation.has_matrix:
        raise UserError(f"line {number + 1} was split and is too long to draw; leave --show and --plot out")
    if options.attention and translation.target_words and translation.heads is None:
        raise UserError(f"line {number + 1} was split, and heads belong to one sentence; leave --attention out")


def make_parser():
    """The command's arguments."""
    arguments = parser("nmt-translate", __doc__)
    arguments.add_argument("text", nargs="*", metavar="TEXT", help="sentences (default: standard input)")
    arguments.add_argument("--input", metavar="FILE", help="UTF-8 text, one sentence a line; - is standard input")
    add_shared(arguments, "--output", *TRANSLATING)
    arguments.add_argument(
        "--long",
        choices=["refuse", "split"],
        default="refuse",
        help="lines longer than the model takes: refuse them, or split them and join the translations and their "
        "alignment; nothing is ever cut off (default: refuse)",
    )
    add_shared(arguments, "--one-sentence", "--invalid-utf8", "--n-best")
    arguments.add_argument(
        "--format",
        choices=list(FORMATS),
        default="text",
        help="text: the translation alone (a terminal underlines doubtful words), or `line ||| "
        "translation ||| score` with --n-best, lines from 0; json: one object a line",
    )
    arguments.add_argument(
        "--link-probabilities", action="store_true", help="json: add the alignment head's probability of every link"
    )
    arguments.add_argument("--show", choices=["alignment"], help="draw the alignment in the terminal")
    arguments.add_argument(
        "--plot",
        metavar="FILE",
        help="draw it: .png, .svg, .pdf, or .html to explore (each line as one sentence)",
    )
    arguments.add_argument(
        "--attention",
        metavar="FILE.safetensors",
        help="save every layer and head of all attention; takes each line as one sentence",
    )
    return arguments


def _as_text(number: int, translation: Translation, options) -> Iterator[str]:
    if options.n_best == 1 or not translation.source_words:  # an empty line stays an empty line
        text = translation.text
        if options.marked:
            from nmt.inspection.terminal import marked_text

            text = marked_text(translation)
        yield in_one_line(text)
        return
    for hypothesis in translation.hypotheses or [translation]:
        yield f"{number} ||| {in_one_line(hypothesis.text)} ||| {hypothesis.score:.4f}"


def _as_json(_number: int, translation: Translation, options) -> Iterator[str]:
    yield json.dumps(translation.as_dict(options.link_probabilities), ensure_ascii=False)


FORMATS = {"text": _as_text, "json": _as_json}


def _save_attention(translations: Iterable, path: str) -> None:
    from nmt.checkpoint import save_arrays

    arrays, names = {}, {}
    for number, translation in enumerate(translations):
        if translation.heads is None:
            continue
        for kind, weights in translation.heads.kinds.items():
            arrays[f"{number}.{kind}"] = weights
        names[f"{number}.source_pieces"] = json.dumps(translation.heads.source_pieces, ensure_ascii=False)
        names[f"{number}.target_pieces"] = json.dumps(translation.heads.target_pieces, ensure_ascii=False)
    save_arrays(path, arrays, names)


entry = command("nmt-translate", main)

if __name__ == "__main__":
    sys.exit(entry())
