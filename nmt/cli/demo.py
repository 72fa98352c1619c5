"""Write the translator page to the cache directory and open it.

examples:
  nmt-demo                              both shipped models, English and Spanish
  nmt-demo checkpoints/quickstart       your own model
  nmt-demo --no-open                    only write the page and print where it is
"""

from __future__ import annotations

import sys

from nmt.cli.common import command, parser
from nmt.cli.page import add_page_arguments, write_page


def main(arguments: list[str]) -> None:
    """Parse the arguments, write the page and open it."""
    options = make_parser().parse_args(arguments)
    import webbrowser

    from nmt.files import cache_directory

    path = cache_directory() / "translator.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_page(options.checkpoint, options.weights, str(path))
    print(path)
    if options.open and not webbrowser.open(path.as_uri()):
        print("nmt-demo: no browser was found; open the page in one", file=sys.stderr)


def make_parser():
    """The command's arguments."""
    arguments = parser("nmt-demo", __doc__)
    add_page_arguments(arguments)
    arguments.add_argument(
        "--no-open", dest="open", action="store_false", help="do not open a browser, only print the page's path"
    )
    return arguments


entry = command("nmt-demo", main)

if __name__ == "__main__":
    sys.exit(entry())
