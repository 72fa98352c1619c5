"""Small networks of every architecture and attention, for tests that must hold of each."""

import torch

from nmt.config.model import ModelConfig
from nmt.models import build_model

VOCABULARY = 23
TRANSFORMERS = {
    "transformer": {},
    "learned positions": {"positions": "learned"},
    "no positions": {"positions": "none"},
    "narrow keys": {"key_width": 2},
    "local": {"attention": "local", "window": 2},
    "linear": {"attention": "linear"},
    "post-norm, untied, uneven": {"norm": "post", "tied_embeddings": False, "decoder_layers": 3},
}
RECURRENT = {
    "rnnsearch": {"type": "rnnsearch"},
    "rnnsearch dot": {"type": "rnnsearch", "attention": "dot"},
    "rnnsearch general": {"type": "rnnsearch", "attention": "general"},
    "rnnencdec": {"type": "rnnencdec"},
}
ARCHITECTURES = {**TRANSFORMERS, **RECURRENT}
"""Keys of `model` by the architecture's name."""
SIZES = {"encoder_layers": 2, "decoder_layers": 2, "feed_forward": 20, "heads": 3}


def shape_of(name: str, **sizes: int) -> dict:
    """The keys of `model` for an architecture; the sizes that recurrent ones do not have are left out."""
    model = ARCHITECTURES[name]
    kept = sizes if name in TRANSFORMERS else {key: value for key, value in sizes.items() if key not in SIZES}
    return {**kept, **model}


def small_model(name: str, seed: int = 1, **changes):
    """A network in double precision and evaluation mode, every weight random, norms and biases too."""
    config = ModelConfig(**(shape_of(name, **SIZES, width=12, max_length=24) | changes))
    torch.manual_seed(seed)
    model = build_model(config, VOCABULARY).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return model


def random_pieces(seed: int, *shape: int) -> torch.Tensor:
    """Piece ids that are no special ones."""
    return torch.randint(4, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))
