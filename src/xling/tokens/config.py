"""Settings of token streams and of the stage that writes them."""

from pydantic import BaseModel, ConfigDict, Field

from xling.data.selection import LanguageText
from xling.names import Language


class TokensConfig(BaseModel):
    """How text becomes token streams."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dev_share: float = Field(
        0.01,
        gt=0.0,
        lt=1.0,
        description="Share of each language's lines held out for dev perplexity. A hash of a "
        "line's content decides its side, so identical lines never straddle the "
        "split.",
    )
    dev_lines: int = Field(
        5000,
        ge=1,
        description="Maximum held-out lines per language, in expectation: in longer text "
        "dev_share shrinks accordingly.",
    )
    shard_tokens: int = Field(
        1 << 27, ge=1, description="Maximum tokens in one file (256 MB at two bytes per token)."
    )


class TokensSettings(BaseModel):
    """Which text becomes token streams, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[Language, LanguageText] = Field(
        ..., description="domains or parts of domains per language, e.g. {en: [wiki]}"
    )
    tokens: TokensConfig = Field(default_factory=TokensConfig)
