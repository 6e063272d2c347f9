"""Settings of the stage ``vocabulary``."""

from pydantic import BaseModel, ConfigDict, Field

from xling.data.selection import TextPart
from xling.vocabulary.config import VocabularyConfig


class VocabularySettings(BaseModel):
    """Which text to learn what kind of vocabulary from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[str, tuple[TextPart, ...]] = Field(
        ..., description="language to domains or halves of domains, e.g. {en: [wiki]}"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
