"""Settings of the stage ``tokens``."""

from pydantic import BaseModel, ConfigDict, Field

from xling.data.selection import LanguageText
from xling.names import Language
from xling.tokens.config import TokensConfig


class TokensSettings(BaseModel):
    """Which text becomes token streams, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[Language, LanguageText] = Field(
        ..., description="language to domains or parts of domains, e.g. {en: [wiki]}"
    )
    tokens: TokensConfig = Field(default_factory=TokensConfig)
