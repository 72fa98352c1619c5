"""A translation: text, score, words, alignment, and every attention head on request."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nmt.alignment.pharaoh import format_links
from nmt.errors import UserError
from nmt.files import atomic_path, check_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

END_OF_SENTENCE = "</s>"
NO_ALIGNMENT = "the model has no attention, so there is no alignment to show; translate plainly, or take another model"
TOO_LARGE = "the text was translated in parts and is too long for one matrix; translate its sentences one by one"
DECIMALS = 6
"""Of the numbers of matrices in JSON; float32 knows hardly more."""


@dataclass(frozen=True, eq=False)
class AttentionMaps:
    """Every attention weight of one sentence pair under the translator (Vaswani et al. 2017, section 3.2.3).

    Row i of `decoder` and `cross` is the decoding step that predicts `target_pieces[i]`; every row sums to 1.
    A kind that the network does not have is None: recurrent ones have no self-attention.
    """

    encoder: np.ndarray | None
    """[layers, heads, source pieces, source pieces], float32: encoder self-attention."""
    decoder: np.ndarray | None
    """[layers, heads, target pieces, target pieces], float32: decoder self-attention; column j is the decoder's
    j-th input, which is `<s>` for j = 0 and `target_pieces[j - 1]` after it. Zero above the diagonal."""
    cross: np.ndarray | None
    """[layers, heads, target pieces, source pieces], float32: attention of the decoder to the encoder."""
    source_pieces: list[str]
    """The encoder's input: subword pieces, `</s>` last."""
    target_pieces: list[str]
    """The decoder's output: subword pieces, `</s>` last."""
    candidates: list[list[tuple[str, float]]] = field(default_factory=list)
    """The likeliest next pieces of each step with their log-probabilities, best first."""

    @property
    def kinds(self) -> dict[str, np.ndarray]:
        """`encoder`, `decoder` and `cross` by name, absent ones left out."""
        kinds = {"encoder": self.encoder, "decoder": self.decoder, "cross": self.cross}
        return {kind: weights for kind, weights in kinds.items() if weights is not None}

    def to_bertviz(self) -> dict[str, Any]:
        """The keywords of BertViz's `head_view` and `model_view` (Vig 2019): `head_view(**heads.to_bertviz())`.

        Attention is a list of tensors, one a layer, [1, heads, rows, columns]. BertViz names the rows of decoder and
        cross-attention by the decoder's inputs: `<s>`, then the target pieces.
        """
        import torch

        layers = {
            f"{kind}_attention": [torch.from_numpy(layer)[None] for layer in weights]
            for kind, weights in self.kinds.items()
        }
        return layers | {
            "encoder_tokens": list(self.source_pieces),
            "decoder_tokens": ["<s>", *self.target_pieces[:-1]],
        }

    def __repr__(self) -> str:
        shapes = ", ".join(f"{kind} {list(weights.shape)}" for kind, weights in self.kinds.items())
        return f"AttentionMaps({shapes})"


@dataclass(frozen=True)
class Score:
    """How likely the model finds a given translation."""

    log_probability: float
    """Natural logarithm of the probability of the whole translation: the sum of `by_word` and `end`."""
    words: list[str]
    by_word: list[float]
    """Log-probability of each word given the source and the words before it; 0 for what is copied."""
    end: float
    """Log-probability that the translation ends there."""

    def __repr__(self) -> str:
        return f"Score({self.log_probability:.3f}, {len(self.words)} words)"


@dataclass(frozen=True, eq=False)
class Translation:
    """One hypothesis for one source sentence."""

    source: str
    """The source sentence as given."""
    text: str
    """The translation."""
    score: float
    """Log-probability divided by the length penalty (Wu et al. 2016, equation 14): higher is better."""
    source_words: list[str]
    target_words: list[str]
    attention: np.ndarray | None
    """[target words, source words + 1], float32: the cross-attention named by `attention_name`, mapped to words as in
    `nmt.alignment.pieces.word_attention`; rows sum to 1, the last column is `</s>`. A copied word, which the network
    never read, has 1 at its source word. None from a model without attention, or if not requested."""
    alignment: list[tuple[int, int]] | None
    """Links (source word, target word), sorted. None from a model without attention."""
    link_probabilities: np.ndarray | None = None
    """[target words, source words], float32: the probability of each link by the alignment head, a network beside the
    translator; None without one."""
    attention_name: str | None = None
    """What `attention` is: "cross-attention, layer 3, head 1 (guided)"."""
    heads: AttentionMaps | None = None
    """All layers and heads over pieces, on request."""
    source_word_of_piece: list[list[int]] = field(default_factory=list)
    """The source words of each of `heads.source_pieces`, none for `</s>`."""
    target_word_of_piece: list[list[int]] = field(default_factory=list)
    """The target words of each of `heads.target_pieces`, none for `</s>`."""
    word_probabilities: list[float] | None = None
    """Probability of each target word given the source and the words before it, on request; 1 for what is copied."""
    confidence: float | None = None
    """Probability, 0 to 1, that the translation is good: sentence chrF of 30 or more. None where the checkpoint has no
    calibration (`nmt.confidence_fit`), and for a line without words."""
    evidence: Mapping[str, float] | None = None
    """What `confidence` is computed from, by the names of `nmt.confidence.SIGNS`; None for a line without words."""
    word_confidence: list[float] | None = None
    """Probability, 0 to 1, that a reference translation contains each target word; 1 for copied words. None as for
    `confidence`."""
    word_evidence: np.ndarray | None = None
    """[target words, `nmt.confidence.WORD_SIGNS`]: what `word_confidence` is computed from; None for a text translated
    in parts, and for a translation with copied words."""
    hypotheses: list[Translation] = field(default_factory=list)
    """The n-best list, best first and beginning with this translation; empty for n_best = 1."""

    @property
    def has_matrix(self) -> bool:
        """Whether `attention` has a row per target word: not without attention, nor for a text of parts that is larger
        than `nmt.joining.LARGEST_MATRIX`."""
        return self.attention is not None and len(self.attention) == len(self.target_words)

    def aligned(self) -> tuple[np.ndarray, list[tuple[int, int]]]:
        """`attention` and `alignment`. Raises UserError where there are none, or no rows."""
        if self.attention is None or self.alignment is None:
            raise UserError(NO_ALIGNMENT)
        if not self.has_matrix:
            raise UserError(TOO_LARGE)
        return self.attention, self.alignment

    @property
    def pharaoh(self) -> str:
        """The links in Pharaoh form, source-target: `0-0 1-2`. Raises UserError where there are none."""
        if self.alignment is None:
            raise UserError(NO_ALIGNMENT)
        return format_links(self.alignment)

    def as_dict(self, link_probabilities: bool = False) -> dict:
        """The object that `nmt-translate --format json` prints; `attention` and `alignment` are None where absent.

        Matrices have `DECIMALS`.
        """
        result = {
            "source": self.source,
            "translation": self.text,
            "score": self.score,
            "source_words": self.source_words,
            "target_words": self.target_words,
            "attention": _rounded(self.attention),
            "attention_name": self.attention_name,
            "alignment": None if self.alignment is None else self.pharaoh,
        }
        if self.word_probabilities is not None:
            result["word_probabilities"] = self.word_probabilities
        if link_probabilities:
            result["link_probabilities"] = _rounded(self.link_probabilities)
        if self.confidence is not None:
            result["confidence"] = self.confidence
        if self.word_confidence is not None:
            result["word_confidence"] = self.word_confidence
        if self.hypotheses:
            result["hypotheses"] = [hypothesis.as_dict(link_probabilities) for hypothesis in self.hypotheses]
        return result

    def plot(self, gold: Sequence[tuple[int, int]] | None = None) -> Figure:
        """The alignment as a matplotlib figure, which notebooks show; `gold` links are marked with a dot.

        Raises UserError where there is no alignment.
        """
        return import_module("nmt.inspection.figures").alignment_figure(self, gold)

    def save(self, path: str | Path) -> None:
        """Save as a figure (.png, .svg, .pdf), the explorer page (.html) or data (.json), by the suffix.

        Raises UserError for any other suffix, a directory that is missing, and a picture without an alignment.
        """
        # By name: pictures depend on translations, not the other way round.
        kind = import_module("nmt.inspection.formats").picture_format(path, ("png", "svg", "pdf", "html", "json"))
        check_output(path)
        if kind not in ("html", "json"):
            import_module("nmt.inspection.figures").plot_alignment(self, path)
            return
        page = import_module("nmt.inspection.explorer").explorer_page
        text = page([self]) if kind == "html" else json.dumps(self.as_dict(), ensure_ascii=False) + "\n"
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        parts = [f"{shortened(self.source)} -> {shortened(self.text)}", f"score {self.score:.3f}"]
        if self.alignment is not None:
            parts.append(f"{len(self.alignment)} links")
        if self.hypotheses:
            parts.append(f"{len(self.hypotheses)} hypotheses")
        if self.heads:
            parts.append("heads")
        return f"Translation({', '.join(parts)})"

    def _repr_html_(self) -> str | None:
        """Render as the explorer page in notebooks; as plain text without a matrix."""
        # By name: pictures depend on translations, not the other way round.
        return import_module("nmt.inspection.explorer").explorer_frame(self) if self.has_matrix else None


def shortened(text: str) -> str:
    """A text quoted for a `repr`, at most 60 characters of it."""
    return repr(text if len(text) <= 60 else text[:59] + "…")


def _rounded(matrix: np.ndarray | None) -> list[list[float]] | None:
    return None if matrix is None else matrix.astype(float).round(DECIMALS).tolist()
