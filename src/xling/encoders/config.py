"""How a line becomes one vector; light to import (no torch)."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from xling.device import BATCH_TOKENS, Precision

Pooling = Literal["mean", "first", "last", "weighted"]
_DECIDING = ("pooling", "prefix", "precision")


class EncodingConfig(BaseModel):
    """How a model reads lines, and how its hidden states become one vector per line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pooling: Pooling = Field(
        "mean",
        description="One vector per line: mean of its tokens, first or last token, or weighted: "
        "the mean of all tokens, each with the weight of its position.",
    )
    prefix: str = Field(
        "", description="Text put before every line, such as 'query: ' for E5; part of the line."
    )
    precision: Precision = Field(
        "fp32",
        description="Precision of the forward pass; bf16 and fp16 are faster on GPUs with them.",
    )
    batch_tokens: int = Field(
        BATCH_TOKENS, ge=1, description="Maximum tokens, including padding, in one forward pass."
    )

    @property
    def encoding(self) -> dict[str, Any]:
        """The settings that determine the vectors (with model and lines), as keyword arguments."""
        return {name: getattr(self, name) for name in _DECIDING}

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out pooling, prefix and precision at their defaults: older outputs stay current."""
        content: dict[str, Any] = handler(self)
        return {name: value for name, value in content.items() if not _is_default(name, value)}


def _is_default(name: str, value: Any) -> bool:
    return name in _DECIDING and value == EncodingConfig.model_fields[name].default
