"""Write the network as a directory that CTranslate2, or Hugging Face's transformers, loads by itself.
Without --output, --quantization sets the weight type that nmt-translate computes with, which needs no export itself.

examples:
  nmt-export checkpoints/quickstart --output quickstart-ctranslate2
  nmt-export checkpoints/quickstart --output quickstart-int8 --quantization int8
  nmt-export checkpoints/quickstart --output quickstart-hf --format huggingface
  nmt-export checkpoints/quickstart --quantization int8
"""

from __future__ import annotations

import sys

from nmt.cli.common import command, parser
from nmt.errors import UserError
from nmt.untrusted import QUANTIZATIONS


def main(arguments: list[str]) -> None:
    """Parse the arguments and export."""
    commands = parser("nmt-export", __doc__)
    commands.add_argument("checkpoint", metavar="CHECKPOINT", help="directory, or the name of a shipped checkpoint")
    commands.add_argument("--output", metavar="DIR", help="directory to write; an earlier export there is replaced")
    commands.add_argument(
        "--format", choices=["ctranslate2", "huggingface"], default="ctranslate2", help="default: ctranslate2"
    )
    commands.add_argument(
        "--quantization", choices=QUANTIZATIONS, help="type of the weights (default: the checkpoint's, else float32)"
    )
    options = commands.parse_args(arguments)
    from nmt.checkpoint import Checkpoint, find_checkpoint

    place = find_checkpoint(options.checkpoint)
    if options.format == "huggingface":
        from nmt.engines.huggingface import export_to_huggingface

        if options.quantization or not options.output:
            raise UserError("--format huggingface needs --output, and takes no --quantization")
        print(export_to_huggingface(Checkpoint(place), options.output))
    elif options.output:
        from nmt.engines.conversion import export_to_ctranslate2

        print(export_to_ctranslate2(place, options.output, options.quantization))
    elif options.quantization:
        from nmt.engines.conversion import set_quantization

        set_quantization(place, options.quantization)
    else:
        commands.error("give --output, --quantization or both")


entry = command("nmt-export", main)

if __name__ == "__main__":
    sys.exit(entry())
