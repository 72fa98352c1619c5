"""Write a translator as one self-contained HTML file, which opens from disk and works offline.

examples:
  nmt-page --output translator.html                       both shipped models, English and Spanish
  nmt-page checkpoints/quickstart --output mine.html      your own model
  nmt-page --weights float16 --output exact.html          larger, closer to the checkpoint's precision
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from nmt.checkpoint import SHIPPED
from nmt.cli.common import check_writable, command, parser, writer
from nmt.inspection.formats import PAGE, picture_format

if TYPE_CHECKING:
    from nmt.page.bundle import Precision


def main(arguments: list[str]) -> None:
    """Parse the arguments and write the page."""
    options = make_parser().parse_args(arguments)
    check_writable(options.output)
    picture_format(options.output, (PAGE,))
    write_page(options.checkpoint, options.weights, options.output)


def write_page(checkpoints: list[str], weights: Precision, output: str) -> None:
    """Write the page of these checkpoints, or of both shipped ones, to a file."""
    from nmt.page.bundle import translator_page

    page = translator_page(checkpoints or SHIPPED, weights)
    with writer(output) as file:
        file.write(page)


def make_parser():
    """The command's arguments."""
    arguments = parser("nmt-page", __doc__)
    add_page_arguments(arguments)
    arguments.add_argument("--output", required=True, metavar="FILE.html", help="the page")
    return arguments


def add_page_arguments(arguments: argparse.ArgumentParser) -> None:
    """What the page holds."""
    arguments.add_argument(
        "checkpoint",
        nargs="*",
        metavar="CHECKPOINT",
        help="checkpoint directories or shipped names (default: both shipped)",
    )
    arguments.add_argument(
        "--weights",
        choices=["int8", "float16", "float32"],
        default="int8",
        help="precision of the weights (default: int8)",
    )


entry = command("nmt-page", main)

if __name__ == "__main__":
    sys.exit(entry())
