"""What one run trains, and how (light to import: no torch)."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.model.shape import ModelShape
from xling.model.sharing import TOKENS, SharingPlan
from xling.names import Language
from xling.pretraining.config import PretrainingConfig


class RunConfig(BaseModel):
    """One pretraining run: what is trained, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[Language, ...] = Field(
        ..., min_length=1, description="the first is the base: shared parts bear its name"
    )
    model: ModelShape = Field(default_factory=ModelShape, description="shape of the encoders")
    separate: tuple[str, ...] = Field(
        (), description="parts that each language has for itself, e.g. [embeddings, layers 1-3]"
    )
    pretraining: PretrainingConfig = Field(..., description="data order, optimizer, length")

    @model_validator(mode="after")
    def _languages_differ(self) -> Self:
        if len(set(self.languages)) < len(self.languages):
            raise ValueError(f"languages names one twice: {', '.join(self.languages)}")
        return self

    @model_validator(mode="after")
    def _rows_fit_positions(self) -> Self:
        if self.pretraining.length > self.model.max_length:
            raise ValueError(
                f"pretraining.length ({self.pretraining.length}) is more than the model's "
                f"max_length ({self.model.max_length})"
            )
        return self

    @model_validator(mode="after")
    def _mixed_rows_have_shared_embeddings(self) -> Self:
        for name in ("code_switching", "tlm"):
            if getattr(self.pretraining, name) is None:
                continue
            if len(self.languages) < 2:
                raise ValueError(f"pretraining.{name} needs a second language")
            if self.plan.separates(TOKENS):
                raise ValueError(
                    f"pretraining.{name} puts tokens of two languages into one row, so token "
                    "embeddings must be shared; take embeddings out of separate"
                )
        return self

    @property
    def plan(self) -> SharingPlan:
        """Return the sharing plan."""
        return SharingPlan.parse(self.separate, self.model.layers)
