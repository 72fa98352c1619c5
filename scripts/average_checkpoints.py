"""The mean of the weights of several checkpoints of one network.

  python -m scripts.average_checkpoints checkpoints/second checkpoints/third --output checkpoints/mean

Averaging pays for checkpoints that a common run has led to (Izmailov et al. 2018; Wortsman et al. 2022). Everything but
the weights is that of the last checkpoint.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from nmt.checkpoint import (
    SUBWORDS,
    WEIGHTS,
    Checkpoint,
    find_checkpoint,
    load_arrays,
    save_arrays,
    write_checkpoint_metadata,
)
from nmt.cli.common import run
from nmt.errors import UserError


def main(arguments: list[str]) -> None:
    """Write the mean as a checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", help="directories, or names of shipped checkpoints")
    parser.add_argument("--output", type=Path, required=True, help="a new directory")
    options = parser.parse_args(arguments)
    average([Checkpoint(find_checkpoint(name)) for name in options.checkpoints], options.output)


def average(checkpoints: list[Checkpoint], output: Path) -> None:
    """Raises UserError where the networks or the subwords differ, and for an output that is there already."""
    if output.exists():
        raise UserError(f"{output} is there already; name a new directory")
    last, stacks = checkpoints[-1], [load_arrays(checkpoint.path(WEIGHTS)) for checkpoint in checkpoints]
    shapes = [{name: array.shape for name, array in arrays.items()} for arrays in stacks]
    for checkpoint, own in zip(checkpoints, shapes, strict=True):
        if own != shapes[-1] or checkpoint.files[SUBWORDS] != last.files[SUBWORDS]:
            raise UserError(f"{checkpoint.directory} is another network, or has other subwords, than {last.directory}")
    shutil.copytree(last.directory, output, ignore=shutil.ignore_patterns("training", "tensorboard", "README.md"))
    dtype = np.dtype(last.config.training.weights)
    mean = {name: np.mean([arrays[name] for arrays in stacks], axis=0).astype(dtype) for name in stacks[-1]}
    save_arrays(output / WEIGHTS, mean)
    parts = [checkpoint.files[WEIGHTS] for checkpoint in checkpoints]
    write_checkpoint_metadata(output, {**last.metadata.record, "mean_of": parts})


if __name__ == "__main__":
    sys.exit(run("average_checkpoints.py", main))
