"""Look at a translation: its alignment, every attention head, learning curves.

examples:
  nmt-inspect "She brought me a cup of tea."                       open the explorer page in the browser
  nmt-inspect "She brought me a cup of tea." --output tea.html     every layer and head, to explore
  nmt-inspect "She brought me a cup of tea." --output tea.pdf      the alignment, for a paper
  nmt-inspect "She brought me a cup of tea." --heads cross --output heads.png
  nmt-inspect "Good morning." "Where is he?" --n-best 5 --output two.html
  nmt-inspect --curves checkpoints/tatoeba-en-es checkpoints/other --output curves.png
"""

from __future__ import annotations

import os
import sys
import tempfile
import webbrowser
from itertools import islice
from pathlib import Path

from nmt.cli.common import TRANSLATING, add_shared, check_arguments, check_writable, command, draw, parser, searching
from nmt.errors import UserError
from nmt.files import temporary_directory
from nmt.inspection.formats import PAGE, picture_format
from nmt.lines import read_lines

SENTENCES_AT_MOST = 100


def main(arguments: list[str]) -> None:
    """Parse the arguments and draw."""
    options = make_parser().parse_args(arguments)
    if options.output is None and (options.curves or options.heads or options.gold):
        raise UserError("--curves, --heads and --gold draw a figure; give --output FILE.png, .svg or .pdf")
    check_writable(options.output)
    kind = PAGE if options.output is None else picture_format(options.output)
    if options.curves:
        if options.text:
            raise UserError("give TEXT or --curves, not both")
        if options.gold or options.heads or options.checkpoint or options.n_best > 1:
            raise UserError("--curves draws training logs; leave --gold, --heads, --checkpoint and --n-best out")
        from nmt.inspection.curves import plot_curves

        plot_curves(options.curves, options.output)
        return
    if options.heads and kind == PAGE:
        raise UserError("--heads is for figures; the page shows all heads anyway")
    if options.n_best > 1 and kind != PAGE:
        raise UserError("--n-best is for the page; a figure draws the best hypothesis")
    if options.gold and (options.heads or kind == PAGE):
        raise UserError("--gold is for figures of the alignment; leave it out")
    lines = _lines(options.text, options.invalid_utf8)
    gold = _gold(options.gold, len(lines))
    shown = [number for number, line in enumerate(lines) if line.strip()]
    lines, gold = [lines[number] for number in shown], gold and [gold[number] for number in shown]
    if not lines:
        raise UserError("no sentence to show: give TEXT or a line on standard input")
    if options.heads and len(lines) > 1:
        raise UserError("--heads draws one sentence; give one TEXT")
    _draw(options, lines, gold, kind)


def _draw(options, lines: list[str], gold: list | None, kind: str) -> None:
    from nmt.translator import Translator

    translator = Translator.load(options.checkpoint, options.engine, options.threads)
    translations = translator.translate(lines, heads=kind == PAGE or bool(options.heads), **searching(options))
    if options.heads:
        from nmt.inspection.figures import plot_heads

        plot_heads(translations[0], options.output, options.heads)
    elif options.output is None:
        _show(translations)
    else:
        draw(translations, options.output, gold)


def _show(translations: list) -> None:
    """Write the page where it stays until the system clears temporary files, say where, and open it in a browser."""
    page = Path(tempfile.mkdtemp(prefix="nmt-inspect-", dir=temporary_directory())) / "translation.html"
    draw(translations, str(page))
    print(page)
    if sys.stdout.isatty() and (sys.platform == "darwin" or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ)):
        webbrowser.open(page.as_uri())


def _lines(text: list[str], invalid: str) -> list[str]:
    lines = check_arguments(text, invalid, "< {}") or list(islice(read_lines(None, invalid), SENTENCES_AT_MOST + 1))
    if len(lines) > SENTENCES_AT_MOST:
        raise UserError(f"a picture takes at most {SENTENCES_AT_MOST} sentences")
    return lines


def _gold(path: str | None, sentences: int) -> list | None:
    if path is None:
        return None
    from nmt.alignment.pharaoh import read_pharaoh

    gold = list(islice(read_pharaoh(path), sentences + 1))
    if len(gold) != sentences:
        raise UserError(f"{path} must have one line for each of the {sentences} sentences")
    return gold


def make_parser():
    """The command's arguments."""
    arguments = parser("nmt-inspect", __doc__)
    arguments.add_argument("text", nargs="*", metavar="TEXT", help="sentences (default: standard input)")
    add_shared(arguments, "--one-sentence", "--invalid-utf8")
    arguments.add_argument(
        "--output",
        metavar="FILE",
        help=".html: a page to explore; .png, .svg, .pdf: a figure (default: a page that opens in the browser)",
    )
    arguments.add_argument(
        "--heads",
        choices=["encoder", "decoder", "cross"],
        help="draw a grid of all heads of this kind instead of the alignment; like the page it takes a line as one "
        "sentence",
    )
    arguments.add_argument("--gold", metavar="FILE", help="mark these links too: one line a sentence, in Pharaoh form")
    add_shared(arguments, "--n-best")
    arguments.add_argument("--curves", nargs="+", metavar="CHECKPOINT", help="draw these runs' learning curves instead")
    add_shared(arguments, *TRANSLATING)
    return arguments


entry = command("nmt-inspect", main)

if __name__ == "__main__":
    sys.exit(entry())
