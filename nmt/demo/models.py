"""The checkpoints that a demo offers, loaded when they are first asked for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from nmt.checkpoint import METADATA, Checkpoint
from nmt.errors import UserError
from nmt.translator import Translator

KEPT = 4
"""Translators kept in memory; the one that was longest unused goes first."""


class Models:
    """Every checkpoint directly under a directory, by its name."""

    def __init__(self, directory: str | Path, default: str | None = None, threads: int | None = None) -> None:
        """Raises UserError when there is no checkpoint, or none of the default's name."""
        self.directory, self.threads = Path(directory), threads
        if not self.names():
            raise UserError(f"there is no checkpoint in {directory}; train one with nmt-train, or mend --checkpoints")
        self.default = default or self.names()[0]
        if self.default not in self.names():
            raise UserError(
                f"there is no checkpoint {self.default!r} in {directory}: choose of {', '.join(self.names())}"
            )
        self._lock = threading.Lock()
        self._loaded: OrderedDict[str, Translator] = OrderedDict()

    def names(self) -> list[str]:
        """The checkpoints there are now, in alphabetical order."""
        try:
            return sorted(path.name for path in self.directory.iterdir() if (path / METADATA).is_file())
        except OSError:
            return []

    def describe(self) -> list[dict]:
        """Name and languages of each checkpoint; one whose metadata is damaged is left out."""
        described = []
        for name in self.names():
            try:
                metadata = Checkpoint(self.directory / name).metadata
                described.append({"name": name, "source": metadata.source, "target": metadata.target})
            except UserError:
                continue
        return described

    def get(self, name: str | None) -> Translator:
        """The translator of a checkpoint, or the default. Raises UserError for a name that is not listed."""
        name = name or self.default
        # Only listed names are opened, so no name can lead out of the directory.
        if name not in self.names():
            raise UserError(f"there is no model {name!r}: choose of {', '.join(self.names())}")
        with self._lock:
            translator = self._loaded.pop(name, None) or Translator.load(self.directory / name, threads=self.threads)
            self._loaded[name] = translator
            if len(self._loaded) > KEPT:
                self._loaded.popitem(last=False)
        return translator
