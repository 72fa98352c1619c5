"""nmt: a small transformer that translates and shows its alignment.

from nmt import Translator
print(Translator.load().translate("Where is the station?"))
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["AttentionMaps", "Translation", "Translator", "UserError"]

if TYPE_CHECKING:
    from nmt.errors import UserError
    from nmt.translation import AttentionMaps, Translation
    from nmt.translator import Translator

_HOMES = {
    "Translator": "nmt.translator",
    "Translation": "nmt.translation",
    "AttentionMaps": "nmt.translation",
    "UserError": "nmt.errors",
}


def __getattr__(name: str) -> object:
    # Importing the package must stay instant: each name is loaded when it is first used.
    if name not in _HOMES:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
