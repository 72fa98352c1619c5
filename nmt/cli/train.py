"""Train a translator on your own pairs, or from a YAML configuration.
On many devices: torchrun --nproc-per-node 2 -m nmt.cli.train CONFIG (see docs/scale.md).

examples:
  nmt-train --data pairs.tsv --source en --target es --minutes 30
  nmt-train --data corpus.en corpus.de
  nmt-train configs/quickstart.yaml
  nmt-train configs/quickstart.yaml training.seed=2 checkpoint=checkpoints/second
  nmt-train configs/quickstart.yaml --resume
"""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt.cli.common import command, parser
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.config import RunConfig


def main(arguments: list[str]) -> None:
    """Parse the arguments and train."""
    options = make_parser(arguments).parse_intermixed_args(arguments)
    config = of_own_data(options) if options.data else of_file(options)
    from nmt.files import expanded
    from nmt.training.run import train
    from nmt.training.signals import Interrupted

    try:
        train(config, resume=options.resume, overwrite=options.overwrite)
    except Interrupted as stop:
        again = [one for one in arguments if one not in ("--resume", "--overwrite")]
        raise Interrupted(f"{stop}; go on with: {shlex.join(['nmt-train', *again, '--resume'])}") from None
    finally:
        if options.data and not expanded(config.checkpoint).exists():  # no run has begun
            written_configuration(config).unlink(missing_ok=True)


def of_file(options: Namespace) -> RunConfig:
    """The configuration of CONFIG and its overrides."""
    from nmt.config import load_config

    for name in ("source", "target", "minutes", "checkpoint"):
        if getattr(options, name) is not None:
            raise UserError(f"--{name} belongs to --data; change a configuration's keys with key=value")
    if not options.config:
        raise UserError("give a CONFIG, or --data with your own pairs; see --help")
    if not os.path.isfile(options.config):
        name = options.config.rstrip("/")
        names = (f"{name}.yaml", f"configs/{name}.yaml", f"{name}/config.yaml")
        if meant := next(filter(os.path.isfile, names), None):
            raise UserError(f"{options.config} is not a configuration: did you mean {meant}?")
    elif not options.config.endswith((".yaml", ".yml")):
        raise UserError(f"{options.config} is not a .yaml file: did you mean --data {options.config}?")
    return load_config(options.config, options.overrides)


def of_own_data(options: Namespace) -> RunConfig:
    """The recipe's configuration for --data; writes it beside the checkpoint and prints it."""
    from nmt.checkpoint import write_text
    from nmt.corpus import load_corpus
    from nmt.files import expanded
    from nmt.recipe import as_yaml, expectation, own_data
    from nmt.training.directory import check_place

    # `--data FILE key=value`: argparse takes the override for a file, or for CONFIG.
    files = [value for value in options.data if "=" not in value or os.path.exists(value)]
    overrides = [options.config] if options.config else []
    overrides += [*options.overrides, *(value for value in options.data if value not in files)]
    if wrong := [value for value in overrides if "=" not in value]:
        raise UserError(f"give CONFIG or --data, not both ({wrong[0]})")
    minutes = 30.0 if options.minutes is None else options.minutes
    config = own_data(files, options.source, options.target, minutes, options.checkpoint, overrides)
    path, directory = written_configuration(config), expanded(config.checkpoint)
    check_place(directory, options.resume)
    text = as_yaml(config, f"Chosen by nmt-train --data for {minutes:g} minutes; edit, then: nmt-train {path}")
    if path.exists() and path.read_text(encoding="utf-8") != text and not options.overwrite:
        if options.resume:
            raise UserError(f"{path} differs: resume with nmt-train {path} --resume [training.max_minutes=N]")
        raise UserError(f"{path} already exists; train it with nmt-train {path}, or replace it with --overwrite")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    print(f"{text}configuration: {path}", file=sys.stderr)
    if told := expectation(len(load_corpus(config.data).train)):
        print(told, file=sys.stderr)
    return config


def written_configuration(config: RunConfig) -> Path:
    """Where --data writes the configuration: beside the checkpoint."""
    from nmt.files import expanded

    directory = expanded(config.checkpoint)
    return directory.with_name(f"{directory.name}.yaml")


def make_parser(arguments_given: list[str]):
    """The command's arguments; the help lists every configuration key."""
    arguments = parser("nmt-train", __doc__)
    arguments.add_argument("config", nargs="?", metavar="CONFIG", help="YAML file; see configs/")
    arguments.add_argument("overrides", nargs="*", metavar="key=value", help="configuration keys to change")
    own = arguments.add_argument_group("your own pairs, instead of CONFIG")
    own.add_argument(
        "--data", nargs="+", metavar="FILE", help="a .tsv or .jsonl file, or a source and a target text file (.gz too)"
    )
    own.add_argument("--source", metavar="CODE", help="source language (default: as header or file names say, or en)")
    own.add_argument("--target", metavar="CODE", help="target language (default: likewise, or es)")
    own.add_argument("--minutes", type=float, metavar="N", help="about how long to train, on two cores (default: 30)")
    own.add_argument("--checkpoint", metavar="DIR", help="directory to write (default: checkpoints/NAME OF FILE)")
    group = arguments.add_mutually_exclusive_group()
    group.add_argument("--resume", action="store_true", help="go on with the run in the checkpoint directory")
    group.add_argument("--overwrite", action="store_true", help="replace the run in the checkpoint directory")
    if {"-h", "--help"} & set(arguments_given):
        from nmt.config import describe_keys

        rows = [f"  {key} = {default}\n      {meaning}" for key, default, meaning in describe_keys()]
        arguments.epilog = f"{arguments.epilog}\n\nconfiguration keys, their defaults and meanings:\n" + "\n".join(rows)
    return arguments


entry = command("nmt-train", main)

if __name__ == "__main__":
    sys.exit(entry())
