"""The configuration of a run as one typed tree. Every key is documented here, and only here."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from nmt.config.model import ModelConfig, Section
from nmt.search.options import SearchOptions
from nmt.untrusted import DECODING, MOST_MINUTES

STANDARD_HEAD_MINUTES = 10.0
"""Minutes of two idle cores that the alignment head's standard recipe takes, about."""


class AugmentConfig(Section):
    """Shares of the training pairs that are changed each time they come up (OpusTrainer's modifiers)."""

    names: float = Field(0.0, ge=0, le=1)
    """Names that both sides have become placeholders (`subwords.slots`), which teaches these; unknown names always
    do."""
    numbers: float = Field(0.0, ge=0, le=1)
    """Number words that both sides have become placeholders; numbers in digits always do."""
    lower: float = Field(0.0, ge=0, le=1)
    """The source in lower case without its final mark."""
    unmarked: float = Field(0.0, ge=0, le=1)
    """The source without its final mark."""
    title: float = Field(0.0, ge=0, le=1)
    """The source with every word capitalized."""
    unaccented: float = Field(0.0, ge=0, le=1)
    """The source without accents and without apostrophes inside words: `dont`, `que`."""
    typos: float = Field(0.0, ge=0, le=1)
    """One or two words of the source misspelled: `becuase`, `tomorow`."""
    marks: float = Field(0.0, ge=0, le=1)
    """A statement becomes an exclamation on both sides, or the reverse: `Welcome.`, `Welcome!`."""
    phrases: float = Field(0.0, ge=0, le=1)
    """One to three words of the source and their translation alone, where the guide is certain of it
    (`alignment.guide_weight`)."""


class DataConfig(Section):
    """Where sentence pairs come from."""

    corpus: Literal["tatoeba", "hub", "files"] = "tatoeba"
    """`tatoeba` (English-Spanish or English-Ukrainian), a Hugging Face Hub dataset, or local files."""
    source: str = "en"
    """Source language code."""
    target: str = "es"
    """Target language code."""
    name: str | None = None
    """hub: the dataset's name, such as `bentrevett/multi30k`."""
    configuration: str | None = None
    """hub: the dataset's configuration, such as `en-fr`."""
    revision: str | None = None
    """hub: a commit's hash pins the data set, a tag or branch names it; default: what the Hub has that day."""
    train: str | list[str] | None = None
    """hub: split name; files: one .tsv or .jsonl file, or [source file, target file]; .gz is read too."""
    dev: str | list[str] | None = None
    """The same for the dev split."""
    test: str | list[str] | None = None
    """The same for the test split."""
    source_column: str | int | None = None
    """Column of the source text; dotted for nested columns (`translation.en`). Default: the language code; in a .tsv
    whose first line does not name both languages, the first two columns."""
    target_column: str | int | None = None
    """Column of the target text."""
    cache: str | None = None
    """Cache directory; default: $NMT_CACHE, else the user's cache directory."""
    min_words: int = Field(1, ge=1, lt=2**63)
    """Training pairs with fewer whitespace words on either side are left out."""
    max_words: int = Field(200, ge=1, lt=2**63)
    """Training pairs with more whitespace words on either side are left out."""
    max_length_ratio: float | None = Field(None, gt=1)
    """Training pairs whose longer side has more than this many times the words of the shorter are left out."""
    drop_identical: bool = False
    """Leave out training pairs whose two sides are the same text."""
    max_pairs: int | None = Field(None, ge=1, lt=2**63)
    """Use only the first so many training pairs."""
    short_copies: int = Field(1, ge=1, le=1000)
    """How often a training pair of at most five pieces a side comes up in an epoch; others come up once."""
    extra: dict[str, Annotated[int, Field(ge=1, le=1000)]] = {}
    """Training pairs beside the corpus' own: .tsv or .jsonl files, and how many copies of each join, such as
    `{phrases.tsv: 10}`. The first line of a .tsv names the languages, or its columns are source and target. Pairs with
    a sentence of dev or test are left out."""
    augment: AugmentConfig = AugmentConfig()


class SubwordsConfig(Section):
    """The joint SentencePiece vocabulary."""

    vocabulary_size: int = Field(6000, ge=270, le=65_527)
    """Pieces, at most; 256 bytes and 4 special pieces are among them. Up to nine placeholders and marks are added."""
    model_type: Literal["unigram", "bpe"] = "unigram"
    """Unigram language model (Kudo 2018) or byte-pair encoding (Sennrich et al. 2016)."""
    character_coverage: float = Field(0.9995, ge=0.98, le=1)
    """Share of the corpus' characters with a piece of their own; the rest is spelled in bytes."""
    normalization: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = "nmt_nfkc"
    """SentencePiece's normalization of all text: NFKC (which turns 10² into 102), `_cf` with case folding, `nmt_` with
    SentencePiece's rules for spaces; `identity` keeps what is typed."""
    training_pairs: int = Field(1_000_000, ge=1, lt=2**63)
    """Training pairs that the vocabulary is learned from, at most, evenly spread over the corpus; memory grows with
    them (SentencePiece holds their text several times over)."""
    sampling: float = Field(0.0, ge=0, le=1)
    """Subword sampling in training (Kudo 2018): its smoothing exponent, such as 0.2; 0 is off. Unigram only."""
    slots: bool = False
    """Placeholders: names that the training data does not have and numbers are copied, each through a piece of its own.
    For source languages that capitalize names alone."""

    @model_validator(mode="after")
    def _can_sample(self) -> SubwordsConfig:
        if self.sampling and self.model_type != "unigram":
            raise ValueError("sampling needs model_type unigram")
        return self


class TrainingConfig(Section):
    """How the network is trained."""

    seed: int = Field(1, ge=0, lt=2**63)
    """Seed of initial weights, data order, dropout and subword sampling."""
    initial: str | None = None
    """Begin with the subword model, weights and alignment head of this checkpoint: a directory, or a shipped one's
    name. The `model` section must be its own."""
    batch_tokens: int = Field(2048, ge=16, lt=2**31)
    """Most tokens in a batch, counted on the longer side with padding."""
    accumulate: int = Field(1, ge=1, le=65536)
    """Batches whose gradients are summed for one step, over all processes; at least one per process."""
    optimizer: Literal["adamw", "adam", "muon"] = "adamw"
    """adam (Kingma and Ba 2015); adamw: with decoupled weight decay (Loshchilov and Hutter 2019); muon (Jordan et al.
    2024, momentum 0.95) for linear layers and adamw for the rest, which learns fastest in runs of a few minutes."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak learning rate."""
    beta1: float = Field(0.9, ge=0, lt=1)
    """Adam's decay of the gradient's mean."""
    beta2: float = Field(0.98, ge=0, lt=1)
    """Adam's decay of the gradient's mean square."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of matrices (adamw and muon)."""
    schedule: Literal["cosine", "linear", "inverse_sqrt", "constant"] = "cosine"
    """After warm-up: cosine or linear decay to zero over the budget, inverse square root (section 5.3), or constant."""
    warmup_steps: int = Field(400, ge=0, lt=2**63)
    """Steps of linear warm-up."""
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    """Label smoothing (section 5.4)."""
    r_drop: float = Field(0.0, ge=0, le=1e6)
    """R-Drop (Liang et al. 2021): weight of the divergence between predictions under two dropout masks, such as 1; half
    of the paper's alpha; 0 is off. Takes twice the time and memory."""
    clip_norm: float = Field(1.0, ge=0)
    """Largest norm of the gradient; larger gradients are scaled down to it. 0 is off."""
    non_finite: Literal["skip", "stop"] = "skip"
    """Whether a step with an infinite or NaN loss or gradient is skipped or ends the run."""
    non_finite_limit: int = Field(10, ge=1, lt=2**63)
    """Skipped steps in a row that end the run."""
    max_steps: int | None = Field(None, ge=1, lt=2**63)
    """Budget in steps."""
    max_epochs: float | None = Field(None, gt=0)
    """Budget in passes over the corpus."""
    max_minutes: float | None = Field(None, gt=0)
    """Budget in minutes of training and validation. The first budget reached ends the run."""
    validate_every: int = Field(500, ge=1, lt=2**63)
    """Steps between validations; each saves the state."""
    validation_pairs: int = Field(500, ge=1, lt=2**63)
    """Dev pairs translated at a validation for BLEU and chrF; the loss is over all of dev."""
    patience: int | None = Field(None, ge=1, lt=2**63)
    """Stop after this many validations without a better dev loss."""
    average: Literal["last", "best", "none"] = "last"
    """Final weights: the mean over the last or the best validations, unless the single best has a lower dev loss; none:
    the single best."""
    average_count: int = Field(5, ge=1, lt=2**63)
    """How many validations' weights are averaged."""
    weights: Literal["float32", "float16"] = "float32"
    """Type of the finished checkpoint's weights; float16 halves the file and does not affect training."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Type in which linear layers, output projection and Muon multiply (on GPUs, all that torch.autocast covers); auto
    is bfloat16 on hardware with instructions for it (AVX512-BF16, AMX, GPUs), else float32. Weights are float32."""
    threads: int | None = Field(None, ge=1, le=1024)
    """CPU threads, shared among up to four processes; default: all cores."""

    @model_validator(mode="after")
    def _is_possible(self) -> TrainingConfig:
        if self.weight_decay and self.optimizer == "adam":
            raise ValueError("weight_decay needs optimizer adamw or muon")
        if self.max_steps is None and self.max_epochs is None and self.max_minutes is None:
            raise ValueError("no budget: give max_steps, max_epochs or max_minutes")
        return self


def _search_option(name: str) -> Any:
    """A field with the default of `SearchOptions` and the bounds of `DECODING`."""
    _, least, most = DECODING[name]
    return Field(getattr(SearchOptions, name), ge=least, le=most)


class DecodingConfig(Section):
    """How the trained network translates unless told otherwise."""

    beam: int = _search_option("beam")
    """Beam size; 1 is greedy."""
    length_penalty: float = _search_option("length_penalty")
    """Exponent of the length penalty (Wu et al. 2016, equation 14)."""
    min_length: int = _search_option("min_length")
    """Fewest pieces of a translation."""
    max_length_factor: float = _search_option("max_length_factor")
    """A translation has at most this many times the source's pieces ..."""
    max_length_extra: int = _search_option("max_length_extra")
    """... plus so many."""


class AlignerConfig(Section):
    """Sizes and steps of the alignment head's training; the defaults are the standard recipe."""

    width: int = Field(96, ge=1, le=4096)
    """Width of the head's word vectors and similarity spaces."""
    hidden: int = Field(192, ge=1, le=16384)
    """Hidden width of its context encoders."""
    context: int = Field(2, ge=0, le=32)
    """Words on each side that a context encoder sees."""
    channels: int = Field(16, ge=1, le=1024)
    """Channels of the convolution over the alignment matrix."""
    model_1_iterations: int = Field(5, ge=0, lt=2**31)
    """Iterations of IBM model 1 that start the hidden Markov models."""
    hmm_iterations: int = Field(1, ge=0, lt=2**31)
    """Iterations of the hidden Markov models."""
    teacher_width: int = Field(128, ge=1, le=4096)
    """Width of the mixture models."""
    teacher_steps: int = Field(1200, ge=0, lt=2**31)
    """Optimiser steps of each of the two mixture models; with 0 the hidden Markov models teach alone."""
    student_steps: int = Field(1800, ge=1, lt=2**31)
    """Optimiser steps of the head itself."""
    batch_words: int = Field(4000, ge=1, lt=2**31)
    """Padded words of the longer side in a batch, at most."""
    learning_rate: float = Field(4e-3, gt=0)
    """Peak learning rate of teachers and head."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of their word vectors."""
    own_vector_count: int = Field(3, ge=1, lt=2**31)
    """Words of several pieces seen this often have a vector of their own in the mixture models."""
    longest: int = Field(60, ge=1, le=512)
    """Longer sentences (in words) are left out of training."""

    @classmethod
    def for_minutes(cls, minutes: float) -> AlignerConfig:
        """A recipe that takes about so many minutes of two idle cores (`processes=2`), on 138,000 short pairs.

        The budget becomes steps by measured speeds and not by the clock, so results stay reproducible. Below five
        minutes the hidden Markov models, which take 12 seconds, teach alone, and batches are smaller; below three the
        head is too. It has 100 steps at least, some 7 seconds: with fewer it links nothing.
        """
        seconds = minutes * 60
        if minutes >= 5:
            return cls(teacher_steps=int(seconds * 2.4), student_steps=int(seconds * 2.4))
        sizes = {"width": 64, "hidden": 96} if minutes < 3 else {}
        steps = max(100, int((seconds - 12) * (15 if minutes < 3 else 10)))
        return cls(teacher_steps=0, student_steps=steps, batch_words=2000, learning_rate=8e-3, **sizes)


class AlignmentConfig(Section):
    """The alignment head (`nmt/alignment/`), trained after the translator, or before it to guide it."""

    head: bool = True
    """Whether to train one; else alignments come from the mean of a layer's cross-attention. Always false for
    `model.type: rnnencdec`: what that model does has no alignment, and a head's would not be its own."""
    minutes: float | None = Field(None, gt=0, lt=MOST_MINUTES)
    """Its budget in minutes of two idle cores, turned into steps. Default: the standard recipe,
    ten minutes, or a quarter of `training.max_minutes` if that is less."""
    recipe: AlignerConfig | None = None
    """Sizes and steps in place of those that the minutes give."""
    links: str | None = None
    """Train the head on these links, not its own teachers': a Pharaoh file (source-target, over words and punctuation
    marks) with one line per training pair after filtering."""
    training_pairs: int = Field(500_000, ge=1, lt=2**63)
    """Training pairs that it is trained on, at most, evenly spread over the corpus; memory grows with them."""
    layer: int | None = Field(None, ge=0)
    """Decoder layer whose cross-attention is shown as `attention`, counted from 0; default: the last with guidance,
    else the last but one."""
    guide_weight: float = Field(0.0, ge=0, le=1e6)
    """Guided attention (Garg et al. 2019): weight of the cross-entropy between the attention of `guided_heads` and the
    alignment head's link probabilities; 0 is off."""
    guided_heads: int = Field(1, ge=1, le=1024)
    """How many heads of `layer` are guided, from the first on; their mean is shown."""


class RunConfig(Section):
    """A whole run: what `nmt-train` reads and what a checkpoint keeps as `config.yaml`."""

    checkpoint: str = Field(min_length=1)
    """Directory that the run writes."""
    data: DataConfig = DataConfig()
    subwords: SubwordsConfig = SubwordsConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig
    decoding: DecodingConfig = DecodingConfig()
    alignment: AlignmentConfig = AlignmentConfig()

    @model_validator(mode="before")
    @classmethod
    def _no_alignment_without_attention(cls, tree: Any) -> Any:
        model = tree.get("model") if isinstance(tree, dict) else None
        if isinstance(model, dict) and model.get("type") == "rnnencdec" and isinstance(tree.get("alignment", {}), dict):
            return {**tree, "alignment": {"head": False, **tree.get("alignment", {})}}
        return tree

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if self.training.r_drop and not round(256 * self.model.dropout):  # dropout acts in steps of 1/256
            raise ValueError("training.r_drop needs model.dropout of 1/256 or more")
        for key in ("links", "recipe", "guide_weight"):
            if getattr(self.alignment, key) and not self.alignment.head:
                raise ValueError(f"alignment.{key} needs the alignment head; set alignment.head: true")
        if self.alignment.recipe and self.alignment.minutes:
            raise ValueError("alignment.minutes and alignment.recipe exclude each other; leave one out")
        if self.alignment.guide_weight and self.subwords.sampling:
            raise ValueError("alignment.guide_weight and subwords.sampling exclude each other; set one of them to 0")
        if self.data.augment.phrases and not self.alignment.guide_weight:
            raise ValueError("data.augment.phrases needs guided attention; set alignment.guide_weight, such as 0.5")
        if self.alignment.guided_heads > self.model.heads:
            raise ValueError(f"alignment.guided_heads is above model.heads ({self.model.heads}); lower it")
        if self.model.type == "rnnencdec" and (self.alignment.head or self.alignment.layer is not None):
            raise ValueError("model.type rnnencdec has no alignment; leave alignment.head and alignment.layer out")
        layer, layers = self.alignment.layer, self.model.decoder_layers
        if layer is not None and layer >= layers:
            raise ValueError(f"alignment.layer ({layer}) must be below model.decoder_layers ({layers})")
        return self

    @property
    def head_minutes(self) -> float:
        """The alignment head's budget in minutes of two idle cores, about, where `alignment.recipe` is not given."""
        if self.alignment.minutes is not None:
            return self.alignment.minutes
        return min(STANDARD_HEAD_MINUTES, (self.training.max_minutes or math.inf) / 4)

    @property
    def head_recipe(self) -> AlignerConfig:
        """How the alignment head is trained."""
        if self.alignment.recipe:
            return self.alignment.recipe
        standard = self.alignment.minutes is None and self.head_minutes == STANDARD_HEAD_MINUTES
        return AlignerConfig() if standard else AlignerConfig.for_minutes(self.head_minutes)

    @property
    def alignment_layer(self) -> int | None:
        """The decoder layer whose cross-attention is shown; None without attention."""
        if self.model.attention is None:
            return None
        last, layer = self.model.decoder_layers - 1, self.alignment.layer
        return layer if layer is not None else last if self.alignment.guide_weight else max(0, last - 1)


def section_of(annotation: Any) -> type[Section] | None:
    """The class of a key that holds a section, required or not."""
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def describe_keys(section: type[Section] = RunConfig, prefix: str = "") -> list[tuple[str, str, str]]:
    """Every key of the tree as (path, default, meaning), for `nmt-train --help`."""
    rows = []
    for name, field in section.model_fields.items():
        if inner := section_of(field.annotation):
            rows += describe_keys(inner, f"{prefix}{name}.")
        else:
            default = "required" if field.is_required() else "" if field.default is None else str(field.default)
            rows.append((prefix + name, default, " ".join((field.description or "").split())))
    return rows
