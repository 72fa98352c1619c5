"""Importing a library without what it imports and does not use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def imported_late(name: str) -> Iterator[None]:
    """Within the context, `import name` gives a module that imports the real one when it is first used."""
    if name in sys.modules:
        yield
        return
    late = ModuleType(name)
    late.__getattr__ = lambda attribute: getattr(importlib.import_module(name), attribute)  # type: ignore[method-assign]
    sys.modules[name] = late
    try:
        yield
    finally:
        del sys.modules[name]
