"""What the demo's JSON endpoints take and give; the OpenAPI description is made from these."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

MOST_BEAM = 10


class TranslationRequest(BaseModel):
    """A sentence and how to translate it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "Where is the station?", "beam": 5, "n_best": 2}]},
    )

    text: str = Field(description="The sentence; line breaks count as spaces.")
    model: str | None = Field(None, description="A name from /api/models; default: the demo's.")
    beam: int | None = Field(None, ge=1, le=MOST_BEAM, description="Beam size; default: the checkpoint's.")
    n_best: int = Field(1, ge=1, le=MOST_BEAM, description="Hypotheses to return.")
    length_penalty: float | None = Field(
        None, ge=0, le=5, allow_inf_nan=False, description="Exponent of the length penalty; default: the checkpoint's."
    )


class Hypothesis(BaseModel):
    """A translation with its alignment."""

    source: str
    translation: str
    score: float = Field(description="Log-probability divided by the length penalty: higher is better.")
    source_words: list[str]
    target_words: list[str]
    attention: list[list[float]] | None = Field(
        description="A row for each target word, a column for each source word and one for </s>; rows sum to 1. "
        "Null from a model without attention."
    )
    alignment: str | None = Field(
        description="Links in Pharaoh form, source-target: `0-0 1-2`. Null from a model without attention."
    )


class TranslationResponse(Hypothesis):
    """The best hypothesis, and the n-best list when more than one was asked for."""

    hypotheses: list[Hypothesis] = []
    model: str
    milliseconds: float = Field(description="Time of the translation alone, without waiting.")


class Model(BaseModel):
    """A checkpoint that can be chosen."""

    name: str
    source: str = Field(description="The source language's code.")
    target: str = Field(description="The target language's code.")


class Models(BaseModel):
    """All checkpoints."""

    default: str
    models: list[Model]
    most_characters: int = Field(description="Longest sentence that is taken.")


class Problem(BaseModel):
    """Why a request was not answered."""

    error: str
