"""`nmt-export`: a checkpoint for a faster engine."""

from __future__ import annotations

import sys

from nmt.cli.common import command, parser

EXAMPLES = """\
  nmt-export checkpoints/quickstart
  nmt-export checkpoints/quickstart --quantization int8"""
QUANTIZATIONS = ("float32", "int8", "int16", "float16", "bfloat16", "int8_float32")


def main(arguments: list[str]) -> None:
    """Parse the arguments and export."""
    commands = parser("nmt-export", "Add a CTranslate2 model to a checkpoint; nmt-translate then takes it.", EXAMPLES)
    commands.add_argument("checkpoint", metavar="CHECKPOINT", help="checkpoint directory")
    commands.add_argument("--format", choices=["ctranslate2"], default="ctranslate2", help="the engine")
    commands.add_argument(
        "--quantization", choices=QUANTIZATIONS, default="float32", help="of the weights (default: float32)"
    )
    options = commands.parse_args(arguments)
    from nmt.engines.export import export_to_ctranslate2

    print(export_to_ctranslate2(options.checkpoint, options.quantization))


entry = command("nmt-export", main)

if __name__ == "__main__":
    sys.exit(entry())
