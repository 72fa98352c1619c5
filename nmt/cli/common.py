"""What all commands share: errors in one line, exit statuses, lines in and out."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Any, TextIO

from nmt.errors import UserError
from nmt.inspection.formats import PAGE, picture_format

USER_ERROR = 2
INTERRUPTED = 130
AS_WRITTEN: dict[str, Any] = {"encoding": "utf-8", "newline": "\n", "errors": "backslashreplace"}
"""How text leaves: UTF-8 wherever the command runs, lines not translated, a lone surrogate as its JSON escape."""
_SURROGATES = re.compile("[\ud800-\udfff]")


def run(name: str, main: Callable[[list[str]], int | None], arguments: list[str] | None = None) -> int:
    """Run a command: UserError is one line on standard error and status 2, Ctrl-C is 130, a closed pipe is silence.

    A closed terminal and SIGTERM are as Ctrl-C is, and a warning is a line too.
    """
    with ExitStack() as within:
        within.enter_context(_ends_as_by_ctrl_c())
        within.enter_context(warnings.catch_warnings())
        warnings.showwarning = lambda text, *_: print(f"{name}: warning: {text}", file=sys.stderr)
        return _run(name, main, arguments)


def _run(name: str, main: Callable[[list[str]], int | None], arguments: list[str] | None) -> int:
    try:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(**AS_WRITTEN)
        if sys.stdout is None:
            raise UserError("standard output is closed; send it to a file or to /dev/null")
        status = main(sys.argv[1:] if arguments is None else arguments) or 0
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt as interruption:
        print(f"{name}: {str(interruption) or 'interrupted'}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (such as `| head`) has what it wanted; keep the interpreter's own flush quiet too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a directory that may not be written to
        print(f"{name}: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return USER_ERROR


@contextmanager
def _ends_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, where they would end the process at once (nohup ignores one)."""

    def stop(number: int, _frame: object) -> None:
        raise KeyboardInterrupt("terminated" if number == signal.SIGTERM else "the terminal was closed")

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()
    ours = [number for number in numbers if here and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def command(name: str, main: Callable[[list[str]], int | None]) -> Callable[[], int]:
    """A console script."""
    return partial(run, name, main)


def parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """An argument parser whose help ends in examples."""
    return argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_checkpoint_argument(arguments: argparse.ArgumentParser) -> None:
    """--checkpoint."""
    arguments.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="directory, or the name of a shipped one: tatoeba-en-es (English to Spanish, the default) or "
        "tatoeba-es-en (Spanish to English)",
    )


def add_checkpoint_arguments(arguments: argparse.ArgumentParser, threads: int | None = None) -> None:
    """--checkpoint, --engine and --threads (`threads` is its default), as commands that translate have them."""
    add_checkpoint_argument(arguments)
    arguments.add_argument(
        "--engine",
        choices=["auto", "torch", "ctranslate2"],
        default="auto",
        help="auto takes CTranslate2 for every network that it can compute (default: auto)",
    )
    shown = f"CPU threads (default: {threads or 'all cores'})"
    arguments.add_argument("--threads", type=positive, metavar="N", default=threads, help=shown)


def add_search_arguments(arguments: argparse.ArgumentParser) -> None:
    """--beam, --length-penalty and --batch-size."""
    arguments.add_argument("--beam", type=positive, metavar="N", help="beam size; 1 is greedy search")
    arguments.add_argument("--length-penalty", type=float, metavar="X", help="exponent of the length penalty")
    arguments.add_argument(
        "--batch-size", type=positive, default=64, metavar="N", help="sentences translated together (default: 64)"
    )


def add_invalid_argument(arguments: argparse.ArgumentParser) -> None:
    """--invalid-utf8, as every command that reads lines to work on has it."""
    arguments.add_argument(
        "--invalid-utf8",
        choices=["refuse", "replace"],
        default="refuse",
        help="bytes that are not UTF-8: refuse them with their line, or replace them by U+FFFD (default: refuse)",
    )


def add_output_argument(arguments: argparse.ArgumentParser) -> None:
    """--output, as every command that writes line by line has it."""
    arguments.add_argument(
        "--output",
        metavar="FILE",
        help="a file that appears when all lines are done; those done before an error or Ctrl-C are kept in "
        "FILE.unfinished (default: standard output)",
    )


def positive(text: str) -> int:
    """An argument type: a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


def check_arguments(texts: list[str], invalid: str) -> list[str]:
    """Sentences given as arguments, where bytes that are not UTF-8 stand as lone surrogates. Raises UserError."""
    for number, text in enumerate(texts, 1):
        if _SURROGATES.search(text) and invalid == "refuse":
            raise UserError(f"TEXT {number} is not UTF-8; convert it, or ask for --invalid-utf8 replace")
    return [_SURROGATES.sub("\ufffd", text) for text in texts]


def in_conversation(path: str | None) -> bool:
    """Whether the lines of `read_lines` are being typed: each is then answered before the next is asked for."""
    return path in (None, "-") and sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def writer(path: str | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears whole when the block has succeeded.

    What was written before an error or Ctrl-C stays beside it in FILE.unfinished, or FILE.unfinished.2 and so on, and
    the message says so.
    """
    if path in (None, "-") or _is_standard_output(str(path)):
        yield sys.stdout
        return
    from nmt.files import atomic_path

    try:
        if Path(path).exists() and not Path(path).is_file():  # /dev/null, a named pipe: nothing to rename
            with open(path, "w", **AS_WRITTEN) as file:
                yield file
            return
        with atomic_path(str(path)) as temporary:
            try:
                with open(temporary, "w", **AS_WRITTEN) as file:
                    yield file
            except (UserError, OSError, KeyboardInterrupt) as stop:
                if kept := _keep(temporary, path):
                    _add_to_message(stop, f"; what was done before is in {kept}")
                raise
    except OSError as error:
        error.filename = error.filename or path  # within the block other files are read too
        raise


def _is_standard_output(path: str) -> bool:
    # /dev/stdout leads to the file that standard output goes to; a new one in its place would lose what stands there.
    try:
        return os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # no such file yet; a stand-in for standard output
        return False


def _keep(temporary: Path, path: str) -> str | None:
    """Give what was written a name beside `path` that nothing has yet; None when it is nothing."""
    if not temporary.exists() or not temporary.stat().st_size:
        return None
    name = f"{os.path.realpath(path)}.unfinished"
    names = chain([name], (f"{name}.{number}" for number in count(2)))
    kept = next(one for one in names if not os.path.lexists(one))
    os.rename(temporary, kept)
    return kept


def _add_to_message(stop: UserError | OSError | KeyboardInterrupt, words: str) -> None:
    if isinstance(stop, OSError):
        stop.strerror = f"{stop.strerror or stop}{words}"
    else:
        stop.args = (f"{str(stop) or 'interrupted'}{words}",)


def with_progress(items: Iterable, unit: str, wanted: bool) -> Iterable:
    """A progress bar on standard error around `items`, when wanted and when it is a terminal."""
    if not wanted or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, unit=f" {unit}")


def in_one_line(text: str) -> str:
    """A translation for a file of lines: a network can spell out a line feed in bytes."""
    return text.replace("\n", " ").replace("\r", " ")


def draw(translations: list, path: str, gold: list | None = None) -> None:
    """Draw translations: an explorer page for .html, else a figure, with gold links where they are given."""
    if picture_format(path) == PAGE:
        from nmt.inspection.explorer import explorer_page

        with writer(path) as file:
            file.write(explorer_page(translations))
        return
    from nmt.inspection.figures import plot_alignment

    plot_alignment(translations, path, gold)


def check_writable(path: str | Path | None) -> None:
    """Refuse an output path before the work is done. Raises UserError."""
    if path is not None and not os.path.isdir(parent := os.path.dirname(os.path.realpath(path))):
        raise UserError(f"cannot write {path}: there is no directory {parent}")
