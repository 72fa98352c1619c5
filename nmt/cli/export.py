"""`nmt-export`: a checkpoint's network for CTranslate2."""

from __future__ import annotations

import sys

from nmt.cli.common import command, parser
from nmt.untrusted import QUANTIZATIONS

EXAMPLES = """\
  nmt-export checkpoints/quickstart --output quickstart-ctranslate2
  nmt-export checkpoints/quickstart --output quickstart-int8 --quantization int8
  nmt-export checkpoints/quickstart --quantization int8"""
DESCRIPTION = """\
Write the network as a directory that CTranslate2 loads by itself, for deployment. Without --output,
set the type of weights that nmt-translate computes with, which needs no export otherwise."""


def main(arguments: list[str]) -> None:
    """Parse the arguments and export."""
    commands = parser("nmt-export", DESCRIPTION, EXAMPLES)
    commands.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint directory")
    commands.add_argument("--output", metavar="DIR", help="directory to write; a CTranslate2 model there is replaced")
    commands.add_argument("--format", choices=["ctranslate2"], default="ctranslate2", help="the engine")
    commands.add_argument(
        "--quantization", choices=QUANTIZATIONS, help="type of the weights (default: the checkpoint's, else float32)"
    )
    options = commands.parse_args(arguments)
    if options.output:
        from nmt.engines.conversion import export_to_ctranslate2

        print(export_to_ctranslate2(options.checkpoint, options.output, options.quantization))
    elif options.quantization:
        from nmt.engines.conversion import set_quantization

        set_quantization(options.checkpoint, options.quantization)
    else:
        commands.error("give --output, --quantization or both")


entry = command("nmt-export", main)

if __name__ == "__main__":
    sys.exit(entry())
