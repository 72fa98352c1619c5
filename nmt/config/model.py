"""The model section of the configuration."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A section of the configuration; refuses unknown keys and wrong types."""

    model_config = ConfigDict(
        extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True, frozen=True
    )


ATTENTIONS = {"transformer": ["full", "local", "linear"], "rnnsearch": ["additive", "dot", "general"], "rnnencdec": []}
"""What `model.attention` may be for each `model.type`, the default first."""


class ModelConfig(Section):
    """The network: a transformer (Vaswani et al. 2017), or a recurrent one (Bahdanau et al. 2015)."""

    type: Literal["transformer", "rnnsearch", "rnnencdec"] = "transformer"
    """The architecture: `transformer`; `rnnsearch`, a GRU that attends to a bidirectional GRU (Bahdanau et al. 2015);
    `rnnencdec`, the same with one fixed vector in place of attention (Cho et al. 2014)."""
    attention: Literal["full", "local", "linear", "additive", "dot", "general"] | None = None
    """transformer: its self-attention, `full` (default), `local` (a window) or `linear` (Katharopoulos et al. 2020);
    rnnsearch: `additive` (default), `dot` or `general` (Luong et al. 2015, section 3.1); rnnencdec has none."""
    window: int | None = Field(None, ge=1, lt=2**63)
    """local: how many positions before, and in the encoder after, its own each position sees; default: 16."""
    encoder_layers: int = Field(3, ge=1, le=128)
    """Encoder layers; 1 for the recurrent types."""
    decoder_layers: int = Field(3, ge=1, le=128)
    """Decoder layers; 1 for the recurrent types."""
    width: int = Field(192, ge=2, le=16384)
    """Width of the residual stream (the paper's d_model); rnnsearch, rnnencdec: of embeddings, of the decoder's state
    and of each direction of the encoder's (of both directions together with `dot`)."""
    feed_forward: int = Field(512, ge=1, le=65536)
    """transformer: width of the feed-forward layers (d_ff)."""
    heads: int = Field(4, ge=1, le=16384)
    """Attention heads; they divide the width. 1 for the recurrent types."""
    key_width: int | None = Field(None, ge=1, le=16384)
    """transformer: width of each head's queries and keys (d_k); default: width / heads, as its values always have."""
    positions: Literal["sinusoidal", "learned", "none"] = "sinusoidal"
    """transformer: sines and cosines (section 3.5), a learned vector for each position (Gehring et al. 2017), or none;
    `none` for the recurrent types, which read in order."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of every sublayer's output and of the embeddings (section 5.4); recurrent types: of embeddings and of
    the output layer's input."""
    norm: Literal["pre", "post"] = "pre"
    """transformer: layer normalization before each sublayer, or after it as in the paper."""
    tied_embeddings: bool = True
    """One matrix for source, target and output embeddings (section 3.4)."""
    max_length: int = Field(256, ge=8, le=16384)
    """The most pieces of a sentence, `</s>` counted, that training keeps and translation takes."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_type(cls, tree: Any) -> Any:
        # Fill in defaults, so that a saved configuration is complete.
        if not isinstance(tree, dict):
            return tree
        kind = tree.get("type", "transformer")
        defaults: dict[str, Any] = {}
        if isinstance(kind, str) and ATTENTIONS.get(kind):
            defaults["attention"] = ATTENTIONS[kind][0]
        if kind in ("rnnsearch", "rnnencdec"):
            defaults |= {"encoder_layers": 1, "decoder_layers": 1, "heads": 1, "positions": "none"}
        if tree.get("attention") == "local":
            defaults["window"] = 16
        return defaults | {key: value for key, value in tree.items() if value is not None or key not in defaults}

    @model_validator(mode="after")
    def _is_possible(self) -> ModelConfig:
        allowed = ATTENTIONS[self.type]
        if self.attention not in allowed and (allowed or self.attention):
            mend = f"choose {', '.join(allowed)}" if allowed else "leave attention out"
            raise ValueError(f"attention {self.attention} is not for type {self.type}; {mend}")
        if self.window is not None and self.attention != "local":
            raise ValueError("window is for attention local; set that, or leave window out")
        if self.type != "transformer":
            self._has_no_transformers_keys()
        if self.width % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide width ({self.width})")
        if self.width % 2:
            raise ValueError(f"width ({self.width}) must be even, for sine and cosine")
        return self

    def _has_no_transformers_keys(self) -> None:
        only = {"encoder_layers": 1, "decoder_layers": 1, "heads": 1, "positions": "none"}
        only |= {"feed_forward": 512, "key_width": None, "norm": "pre"}
        wrong = [key for key, value in only.items() if getattr(self, key) != value]
        if wrong:
            raise ValueError(f"type {self.type} is of one layer and has no transformer's parts; leave {wrong[0]} out")
