"""Settings of transfer through a map between two models (light to import: no torch)."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.names import Language, Name
from xling.similarity.config import BATCH_TOKENS
from xling.transfer.config import TransferConfig

_DECIDED = ("source", "targets", "regime", "supervised")


class ContextSettings(BaseModel):
    """A task learnt on one model's frozen layers and tested on another's, through a map.

    What is not given of ``transfer`` is as for `xling transfer`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    languages: tuple[Language, Language] = Field(..., description="source and target language")
    train: Name = Field(..., description="Parallel set whose words are aligned and mapped.")
    train_lines: int = Field(
        10_000, ge=1, description="Lines of it at most, evenly spaced over it (PAPER 5.1.2)."
    )
    normalization: Literal["none", "centre", "unit", "iterative"] = Field(
        "iterative", description="What is done to each side before the rotation is learnt."
    )
    transfer: Mapping[str, Any] = Field(
        ..., description="The task and how to learn it: settings of `xling transfer`."
    )
    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="Most tokens in one forward pass that makes word vectors."
    )

    @model_validator(mode="after")
    def _transfer_is_valid(self) -> Self:
        taken = [key for key in _DECIDED if key in self.transfer]
        if taken:
            raise ValueError(
                f"transfer.{taken[0]}: the source is fine-tuned on frozen layers and the target "
                "tested; leave it out"
            )
        assert self.config
        return self

    @property
    def config(self) -> TransferConfig:
        """How the task is learnt and tested."""
        source, target = self.languages
        decided = {"source": source, "targets": (target,), "regime": "feature"}
        return TransferConfig.model_validate({**self.transfer, **decided})
