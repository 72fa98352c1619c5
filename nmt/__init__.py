"""nmt: a small transformer that translates and shows its alignment.

Translate, and see which word comes from which:

    from nmt import Translator
    result = Translator.load().translate("Where is the station?")
    print(result.text, result.alignment)

Train on your own pairs:

    from nmt import train
    from nmt.recipe import own_data
    directory = train(own_data(["pairs.tsv"], source="en", target="es", minutes=30))

Align sentences that are translated already:

    from nmt import Aligner
    pair = Aligner.load().align("Where is the station?", "¿Dónde está la estación?")
    print(pair.pharaoh)
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["Aligner", "AttentionMaps", "Score", "Translation", "Translator", "UserError", "train"]

if TYPE_CHECKING:
    from nmt.alignment.head import Aligner
    from nmt.errors import UserError
    from nmt.training.run import train
    from nmt.translation import AttentionMaps, Score, Translation
    from nmt.translator import Translator

_HOMES = {
    "Aligner": "nmt.alignment.head",
    "AttentionMaps": "nmt.translation",
    "Score": "nmt.translation",
    "Translation": "nmt.translation",
    "Translator": "nmt.translator",
    "UserError": "nmt.errors",
    "train": "nmt.training.run",
}


def __getattr__(name: str) -> object:
    # Importing the package must stay instant: each name is loaded when it is first used.
    if name not in _HOMES:
        raise AttributeError(f"module 'nmt' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
