"""Shared by all commands: one-line errors, exit statuses, common options, output files."""

from __future__ import annotations

import argparse
import atexit
import difflib
import gc
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar

import nmt
from nmt.errors import USER_ERROR, UserError
from nmt.files import check_output
from nmt.inspection.formats import PAGE, picture_format
from nmt.lines import AS_WRITTEN, polled, standard_streams
from nmt.untrusted import MOST_THREADS, WIDEST_BEAM

Item = TypeVar("Item")
INTERRUPTED = 130
_SURROGATES = re.compile("[\ud800-\udfff]")


def run(name: str, main: Callable[[list[str]], int | None], arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status: 2 for UserError, 130 for Ctrl-C, 0 if the reader of a pipe has left.

    Errors and warnings are one line each on standard error; a command continues if standard error is lost. SIGTERM
    and SIGHUP are handled like Ctrl-C.
    """
    # Spinning threads take cores from other jobs; libgomp reads this when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    gc.set_threshold(50_000)  # sentences make many objects and no cycles
    atexit.register(gc.freeze)  # nothing is looked through at exit, which takes 25 ms
    with ExitStack() as within:
        within.enter_context(standard_streams())
        within.enter_context(_ends_as_by_ctrl_c())
        within.enter_context(warnings.catch_warnings())
        warnings.showwarning = lambda text, *_: print(f"{name}: warning: {text}", file=sys.stderr)
        try:
            try:
                status = main(sys.argv[1:] if arguments is None else arguments) or 0
            except SystemExit as ended:  # argparse's, after --help or --version
                status = int(ended.code or 0)
            sys.stdout.flush()
        except UserError as error:
            print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
            status = USER_ERROR
        except KeyboardInterrupt as interruption:
            print(f"{name}: {str(interruption) or 'interrupted'}", file=sys.stderr)
            status = INTERRUPTED
        except OSError as error:  # a full disk, a directory that may not be written to
            left = isinstance(error, BrokenPipeError | ConnectionResetError) and polled(sys.stdout, 0)
            if left or isinstance(error, ReaderLeft):
                status = 0  # the reader (such as `| head`) has what it wanted
            else:
                print(f"{name}: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
                status = USER_ERROR
        try:
            sys.stdout.flush()
        except OSError:  # reported already; silence the interpreter's own flush too
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status


class ReaderLeft(BrokenPipeError):
    """The reader of the named pipe given as `--output` has left."""


@contextmanager
def _ends_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, unless they are handled or ignored already (nohup)."""

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


def parser(name: str, documentation: str | None, instead: str = "") -> Parser:
    """An argument parser whose errors are UserError, and whose help is a module's: description, then examples.

    `instead` is the mend for an argument without a flag that the command does not take.
    """
    description, _, examples = (documentation or "").strip().partition("\n\n")
    formatter = argparse.RawDescriptionHelpFormatter
    arguments = Parser(
        prog=name, description=description, epilog=examples, formatter_class=formatter, allow_abbrev=False
    )
    arguments.instead = instead
    arguments.add_argument("--version", action="version", version=f"{name} {nmt.__version__}")
    return arguments


class Parser(argparse.ArgumentParser):
    """Reports errors as UserError, suggests the nearest known option, and rejects empty values of all but TEXT."""

    instead = ""

    def parse_known_args(self, args=None, namespace=None):
        """Raises UserError."""
        options, rest = super().parse_known_args(args, namespace)
        for action in self._actions:
            value = getattr(options, action.dest, None)
            if action.metavar != "TEXT" and "" in (value if isinstance(value, list) else [value]):
                name = action.option_strings[-1] if action.option_strings else action.metavar
                raise UserError(f"{name} is empty; give it a value, or leave it out")
        return options, rest

    def error(self, message: str) -> NoReturn:
        """Raises UserError."""
        unknown = message.removeprefix("unrecognized arguments: ")
        flag = unknown.partition(" ")[0].partition("=")[0] if unknown != message else ""
        mend = ""
        if flag.startswith("-"):
            known = [name.lstrip("-") for action in self._actions for name in action.option_strings]
            nearest = difflib.get_close_matches(flag.lstrip("-"), known, 1)
            mend = f"did you mean --{nearest[0]}?" if nearest else ""
        elif flag:
            mend = self.instead
        raise UserError(f"{message}{mend and '; '}{mend} (see {self.prog} --help)")


def add_shared(arguments: argparse.ArgumentParser, *names: str) -> None:
    """Add options of `SHARED` by their names."""
    for name in names:
        arguments.add_argument(name, **SHARED[name])


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """An argument type: a whole number within bounds."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a whole number") from None
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text[:20]} is not a whole number from {least:,} to {most:,}")
        return number

    return read


positive = whole_number(1, 10**9)
beam_size = whole_number(1, WIDEST_BEAM)
"""Of --beam, and of --n-best, which is a beam at least as wide."""
thread_count = whole_number(1, MOST_THREADS)
SHARED: dict[str, dict[str, Any]] = {
    "--checkpoint": {
        "metavar": "DIR",
        "help": "a directory, or a shipped checkpoint: tatoeba-en-es (English to Spanish, the default) or "
        "tatoeba-es-en (Spanish to English)",
    },
    "--engine": {
        "choices": ["auto", "torch", "ctranslate2"],
        "default": "auto",
        "help": "auto uses CTranslate2 where it supports the network, else PyTorch (default: auto)",
    },
    "--threads": {"type": thread_count, "metavar": "N", "help": "CPU threads (default: all cores)"},
    "--beam": {"type": beam_size, "metavar": "N", "help": "beam size; 1 is greedy search (default: the checkpoint's)"},
    "--n-best": {"type": beam_size, "default": 1, "metavar": "N", "help": "hypotheses a sentence (default: 1)"},
    "--length-penalty": {"type": float, "metavar": "X", "help": "exponent of the length penalty"},
    "--batch-size": {
        "type": positive,
        "default": 64,
        "metavar": "N",
        "help": "sentences translated together (default: 64)",
    },
    "--one-sentence": {
        "action": "store_true",
        "help": "take each line as one sentence; else its sentences are translated one by one and joined",
    },
    "--invalid-utf8": {
        "choices": ["refuse", "replace"],
        "default": "refuse",
        "help": "invalid UTF-8: refuse it with its line number, or replace it by U+FFFD (default: refuse)",
    },
    "--output": {
        "metavar": "FILE",
        "help": "a file, written when all lines are done; after an error or Ctrl-C the finished ones are in "
        "FILE.unfinished (default: standard output)",
    },
}
"""Options that several commands have alike."""
TRANSLATING = ("--checkpoint", "--engine", "--threads", "--beam", "--length-penalty", "--batch-size")
"""Those of every command that translates."""


def wants_colour(stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `stream` is a terminal that shows colour and the user has not said no (https://no-color.org)."""
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb" and stream.isatty()


def searching(options: argparse.Namespace) -> dict[str, Any]:
    """The keywords of `Translator.translate` that a command's options set."""
    names = ("beam", "n_best", "length_penalty", "batch_size", "one_sentence")
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def check_arguments(texts: list[str], invalid: str, for_files: str) -> list[str]:
    """Decode sentences given as arguments. `for_files` shows how to pass a file instead.

    Raises UserError for invalid UTF-8, and for the name of a file or a checkpoint.
    """
    from nmt.checkpoint import METADATA, SHIPPED

    typed = []
    for number, text in enumerate(texts, 1):
        if os.path.isfile(text):
            raise UserError(f"{text} is a file: did you mean {for_files.format(text)}?")
        if text in SHIPPED or text and os.path.isfile(os.path.join(text, METADATA)):
            raise UserError(f"{text} is a checkpoint: did you mean --checkpoint {text}?")
        try:
            typed.append(os.fsencode(text).decode("utf-8"))  # whatever the locale
        except UnicodeError:
            if _SURROGATES.search(text) and invalid == "refuse":
                raise UserError(f"TEXT {number} is not UTF-8; convert it, or use --invalid-utf8 replace") from None
            typed.append(_SURROGATES.sub("\ufffd", text))
    return typed


def answered(items: Iterable[Item | None], output: TextIO) -> Iterator[Item | None]:
    """Pass items on; at None, a wait for more, flush the output for those before it."""
    for item in items:
        yield item
        if item is None:
            output.flush()


@contextmanager
def writer(path: str | None) -> Iterator[TextIO]:
    """Yield standard output, or a file that appears when the block succeeds.

    After an error or Ctrl-C, what was written is kept in FILE.unfinished (see `nmt.files.atomic_path`).
    """
    if path in (None, "-") or _is_standard_output(str(path)):
        yield sys.stdout
        return
    from nmt.files import atomic_path

    try:
        if Path(path).exists() and not Path(path).is_file():  # /dev/null, a named pipe: nothing to rename
            try:
                with open(path, "w", **AS_WRITTEN) as file:
                    yield file
            except BrokenPipeError as error:
                raise ReaderLeft(error.errno, error.strerror, path) from None
        else:
            with atomic_path(str(path), keep=True) as temporary, open(temporary, "w", **AS_WRITTEN) as file:
                yield file
    except OSError as error:
        error.filename = error.filename or path  # within the block other files are read too
        raise


def _is_standard_output(path: str) -> bool:
    # /dev/stdout may be the file that standard output is redirected to; replacing it would lose its content.
    try:
        return os.path.samestat(os.stat(path), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError):  # no such file yet; a stand-in for standard output
        return False


def with_progress(items: Iterable, unit: str, wanted: bool) -> Iterable:
    """Wrap `items` in a progress bar if wanted and standard error is a terminal."""
    if not wanted or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, unit=f" {unit}")


def in_one_line(text: str) -> str:
    """Replace line ends, which a network can spell out in bytes."""
    return text.replace("\n", " ").replace("\r", " ")


def draw(translations: list, path: str, gold: list | None = None) -> None:
    """Draw translations as an explorer page for .html, else as a figure, with gold links if given."""
    if picture_format(path) == PAGE:
        from nmt.inspection.explorer import explorer_page

        with writer(path) as file:
            file.write(explorer_page(translations))
        return
    from nmt.inspection.figures import plot_alignment

    plot_alignment(translations, path, gold)


def check_writable(*paths: str | Path | None, read: Iterable[str | None] = ()) -> None:
    """Raise UserError, before any work is done, for an output path in a missing directory, for one that is a directory,
    for one given twice, and for one of the files that are `read`."""
    given = [path for path in paths if path is not None]
    inputs = [os.stat(path) for path in read if path not in (None, "-") and os.path.isfile(path)]
    with suppress(OSError, ValueError, AttributeError):  # standard input is closed, or a stand-in
        inputs.append(os.fstat(sys.stdin.fileno()))
    for path in given:
        if os.path.isfile(path) and any(os.path.samestat(os.stat(path), one) for one in inputs):
            raise UserError(f"{path} is the input, which the output would replace; name another file")
        check_output(path)
        if sum(os.path.realpath(path) == os.path.realpath(other) for other in given) > 1:
            raise UserError(f"{path} is given for two outputs; name two files")
