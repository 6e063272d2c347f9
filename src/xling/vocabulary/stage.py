"""Settings of the stage ``vocabulary``."""

from pydantic import BaseModel, ConfigDict, Field

from xling.data.selection import LanguageText
from xling.names import Language
from xling.vocabulary.config import VocabularyConfig


class VocabularySettings(BaseModel):
    """Which text to learn what kind of vocabulary from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[Language, LanguageText] = Field(
        ..., description="language to domains or parts of domains, e.g. {en: [wiki]}"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
