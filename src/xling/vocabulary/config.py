"""Settings of a vocabulary and of the stage that builds it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xling.data.selection import LanguageText
from xling.names import Language


class VocabularyConfig(BaseModel):
    """How subword vocabularies are learnt and combined (Conneau et al. 2020, section 4)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["joint", "parity", "union", "disjoint", "separate"] = Field(
        "joint",
        description="joint: one BPE over all languages; every identical string is an anchor. "
        "parity: the same, but each merge helps the language whose text is cut into most tokens "
        "for what it says (Foroutan et al. 2025, arXiv 2508.04796), which a parallel set of all "
        "languages measures. "
        "union: one BPE per language; tokens of identical spelling merge (the "
        "paper's default-anchors). disjoint: one BPE per language; every token "
        "carries its language, and only the special tokens are shared "
        "(no-anchors). separate: one BPE per language, each with its own ids from "
        "0, for languages that have separate token embeddings (sep-emb).",
    )
    size: int = Field(
        80_000,
        ge=6,
        le=10_000_000,  # memory is set aside for all of them at once
        description="Entries to learn over all languages, including the five special tokens: "
        "one BPE of this size or, with one BPE per language, each of this size "
        "divided by the number of languages (Conneau et al. 2020, section 4: 80k, "
        "or 40k + 40k).",
    )
    exponent: float = Field(
        0.7,
        ge=0.0,
        le=1.0,
        description="A joint BPE is learnt from lines drawn with probability proportional to "
        "(a language's share of lines) ** exponent (Conneau et al. 2020, section "
        "3.1).",
    )
    coverage: float = Field(
        0.99999,
        gt=0.0,
        le=1.0,
        description="Share of each language's running characters that its alphabet covers; "
        "the rarest characters beyond it become [UNK].",
    )
    sample_bytes: int = Field(
        50_000_000,
        ge=1,
        description="Maximum bytes of UTF-8 that a BPE learns from, over all its languages; "
        "more text is thinned to evenly spaced lines, so memory does not grow "
        "with the corpus. Learning takes up to 5 bytes of memory for each, in "
        "scripts without spaces up to 45.",
    )


class VocabularySettings(BaseModel):
    """Which text to learn what kind of vocabulary from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[Language, LanguageText] = Field(
        ..., description="domains or parts of domains per language, e.g. {en: [wiki]}"
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
