"""Score a checkpoint with sacreBLEU on its corpus or on files.

examples:
  nmt-evaluate --checkpoint checkpoints/tatoeba-en-es
  nmt-evaluate --checkpoint checkpoints/quickstart --split dev --beam 1
  nmt-evaluate --everyday data/everyday/english-spanish.tsv
  nmt-evaluate --source flickr.en --reference flickr.de --reference other.de --checkpoint checkpoints/multi30k-en-de
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from nmt.cli.common import TRANSLATING, add_shared, check_writable, command, in_one_line, parser, searching, writer
from nmt.errors import UserError
from nmt.evaluation import TOKENIZERS
from nmt.lines import parallel_lines

if TYPE_CHECKING:
    from nmt.evaluation import Evaluation

INSTEAD = "name a checkpoint with --checkpoint, files with --source and --reference"


def main(arguments: list[str]) -> None:
    """Parse the arguments and evaluate."""
    commands = parser("nmt-evaluate", __doc__, INSTEAD)
    commands.add_argument(
        "--split", choices=["test", "dev"], help="split of the checkpoint's corpus (default: test, else dev)"
    )
    commands.add_argument("--source", metavar="FILE", help="instead of a split: source sentences, one a line")
    commands.add_argument(
        "--reference",
        metavar="FILE",
        action="append",
        help="reference translations, one a line; repeat the option for more",
    )
    add_shared(commands, "--invalid-utf8", *TRANSLATING)
    commands.add_argument(
        "--tokenize", choices=TOKENIZERS, help="sacreBLEU's tokenizer for BLEU (default: the target language's)"
    )
    commands.add_argument("--everyday", metavar="FILE", help="score a table such as data/everyday/english-spanish.tsv")
    commands.add_argument("--output", metavar="FILE", help="also write the translations there")
    commands.add_argument("--format", choices=["text", "json"], default="text", help="how to print the scores")
    options = commands.parse_args(arguments)
    if bool(options.source) != bool(options.reference):
        raise UserError("--source and --reference go together")
    if bool(options.source) + bool(options.split) + bool(options.everyday) > 1:
        raise UserError("give one of --split, --source with --reference, and --everyday")
    check_writable(options.output, read=[options.source, *(options.reference or ()), options.everyday])
    from nmt.evaluation import evaluate
    from nmt.translator import Translator

    translator = Translator.load(options.checkpoint, options.engine, options.threads)
    if options.everyday:
        _everyday(translator, options)
        return
    sources, references, name = _from_files(options) if options.source else _from_split(translator, options.split)
    result = evaluate(translator, sources, references, options.tokenize, **searching(options))
    try:
        _print_scores(result, name, sum(map(len, references)), options.format)
    finally:  # neither is lost where the other cannot be written
        if options.output:
            with writer(options.output) as file:
                file.writelines(f"{in_one_line(text)}\n" for text in result.translations)


def _print_scores(result: Evaluation, name: str, references: int, form: str) -> None:
    if form == "json":
        values = {key: value for key, value in vars(result).items() if key != "translations"}
        print(json.dumps({"data": name, **values}))
        return
    print(f"{name}: {result.sentences:,} sentences, {references:,} references")
    print(f"BLEU {result.bleu:.1f}   {result.bleu_signature}")
    print(f"chrF {result.chrf:.1f}   {result.chrf_signature}")
    print(f"{result.sentences_per_second:.0f} sentences a second, translation and alignment")


def _everyday(translator, options) -> None:
    """Print a row for each kind of input of an everyday table."""
    from nmt.everyday import read_everyday, score_everyday

    rows = read_everyday(options.everyday, translator.source)

    def translate(texts: list[str]) -> list[str]:
        return [translation.text for translation in translator.stream(texts, **searching(options))]

    measures = score_everyday(translate, rows)
    if options.format == "json":
        print(json.dumps([measure._asdict() for measure in measures]))
        return
    print(f"{'kind':<12}{'rows':>5}{'kept':>7}{'as plain':>10}{'chrF':>7}{'right':>7}")
    for kind, count, kept, as_plain, chrf, right in measures:
        shares = ["" if share is None else f"{share:.2f}" for share in (kept, right)]
        plain = "" if as_plain is None else f"{as_plain:.1f}"
        print(f"{kind:<12}{count:>5}{shares[0]:>7}{plain:>10}{chrf:>7.1f}{shares[1]:>7}".rstrip())


def _from_split(translator, split: str | None) -> tuple[list[str], list[list[str]], str]:
    """The unique source sentences of a split of the checkpoint's corpus, each with all its translations.

    Without a name test, or dev where the corpus has no test.
    """
    from nmt.corpus import load_corpus, references
    from nmt.files import CacheError

    data = translator.checkpoint.config.data.model_copy(update={"extra": {}})  # for training alone
    try:
        corpus = load_corpus(data)
    except CacheError:
        raise
    except UserError as error:
        raise UserError(
            f"cannot load the checkpoint's corpus ({error}); run this where nmt-train ran, or give --source and "
            "--reference"
        ) from error
    split = split or ("dev" if corpus.test is None else "test")
    pairs = corpus.test if split == "test" else corpus.dev
    if pairs is None:
        raise UserError("the checkpoint's corpus has no test split; use --split dev, or --source and --reference")
    name = f"{split} split of the corpus {corpus.sha256[:12]}"
    return *references(pairs), name


def _from_files(options) -> tuple[list[str], list[list[str]], str]:
    rows = [row for row in parallel_lines([options.source, *options.reference], options.invalid_utf8) if row]
    return [row[0] for row in rows], [list(row[1:]) for row in rows], options.source


entry = command("nmt-evaluate", main)

if __name__ == "__main__":
    sys.exit(entry())
