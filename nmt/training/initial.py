"""Starting a run from the subword model, weights and alignment head of a checkpoint (`training.initial`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nmt.alignment.head import Aligner
from nmt.checkpoint import ALIGNER, SUBWORDS, WEIGHTS, Checkpoint, find_checkpoint, load_arrays
from nmt.errors import UserError
from nmt.models import Model, load_weights
from nmt.text.subwords import Subwords


@dataclass(frozen=True)
class Initial:
    """The checkpoint that a run starts from."""

    checkpoint: Checkpoint
    subwords: Subwords

    @classmethod
    def load(cls, path: str) -> Initial:
        """Raises UserError when there is no whole checkpoint."""
        checkpoint = Checkpoint(find_checkpoint(path))
        return cls(checkpoint, Subwords.load(checkpoint.path(SUBWORDS)))

    def copy_weights(self, model: Model) -> None:
        """Copy the checkpoint's weights into `model`; pieces that the checkpoint lacks keep their own.

        Raises UserError when the network is another one.
        """
        weights, sizes = load_arrays(self.checkpoint.path(WEIGHTS)), (len(self.subwords), self.subwords.target_size)
        for name, parameter in model.named_parameters():
            own = weights.get(name)
            if own is not None and len(own) in sizes and len(own) < len(parameter) and own.ndim == parameter.dim():
                weights[name] = np.concatenate([own, parameter.detach().cpu().numpy()[len(own) :]])
        try:
            load_weights(model, weights, self.checkpoint.directory)
        except UserError as error:
            raise UserError(f"training.initial: {error}; give the `model` section of its config.yaml") from error

    def copy_head(self, path: Path, subwords: Subwords) -> dict | None:
        """Write the checkpoint's alignment head for `subwords`; returns its record, None when there is no head."""
        if ALIGNER not in self.checkpoint.files:
            return None
        Aligner.read(self.checkpoint.path(ALIGNER), self.subwords).save(path, subwords=subwords)
        return self.checkpoint.metadata.record.get("alignment_head", {})
