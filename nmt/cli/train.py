"""`nmt-train`: a configuration in, a checkpoint out."""

from __future__ import annotations

import sys

from nmt.cli.common import command, parser

EXAMPLES = """\
  nmt-train configs/quickstart.yaml
  nmt-train configs/quickstart.yaml training.seed=2 checkpoint=checkpoints/second
  nmt-train configs/quickstart.yaml --resume"""
DESCRIPTION = """Train a translator as a YAML configuration says.
On many devices: torchrun --nproc-per-node 2 -m nmt.cli.train CONFIG (see docs/scale.md)."""


def main(arguments: list[str]) -> None:
    """Parse the arguments and train."""
    options = make_parser(arguments).parse_intermixed_args(arguments)
    from nmt.config import load_config

    config = load_config(options.config, options.overrides)
    from nmt.training.device import Interrupted
    from nmt.training.run import train

    try:
        train(config, resume=options.resume, overwrite=options.overwrite)
    except Interrupted as stop:
        raise Interrupted(f"{stop}; go on with --resume") from None


def make_parser(arguments_given: list[str]):
    """The command's arguments; the help lists every configuration key."""
    arguments = parser("nmt-train", DESCRIPTION, EXAMPLES)
    arguments.add_argument("config", metavar="CONFIG", help="YAML file; see configs/")
    arguments.add_argument("overrides", nargs="*", metavar="key=value", help="configuration keys to change")
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
