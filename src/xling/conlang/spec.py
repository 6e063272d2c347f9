"""Parameters of a world and its languages, presets, and the distance between two languages."""

import re
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from xling.errors import XlingError
from xling.files import read_yaml
from xling.names import Text
from xling.settings import explain

BASE = "aa"

PRESETS: dict[str, dict[str, object]] = {
    # As French is to English: same basic order, same alphabet, many cognates.
    "near": {
        "adjective": "after",
        "numeral": "before",
        "morphology": "fusional",
        "adjective_agreement": True,
        "passive": "auxiliary",
        "script": "latin",
        "syllables": ["CV", "CV", "CCV", "V", "CVC"],
        "cognates": 0.3,
        "anchors": 0.3,
    },
    # As Russian is to English: case instead of order, no articles, another alphabet, some cognates.
    "mid": {
        "order": "free",
        "articles": "none",
        "case": "affix",
        "morphology": "fusional",
        "verb_agreement": True,
        "adjective_agreement": True,
        "passive": "affix",
        "copula": "not-present",
        "extraposition": True,
        "script": "cyrillic",
        "syllables": ["CV", "CVC", "CCV", "CCVC"],
        "cognates": 0.1,
        "anchors": 0.1,
    },
    # As Chinese is to English: no inflection, modifiers first, characters without spaces.
    "far": {
        "genitive": "before",
        "relative": "before",
        "oblique": "before",
        "articles": "none",
        "subordinator": "final",
        "tense": "particle",
        "particles": "after",
        "plural": "none",
        "morphology": "isolating",
        "verb_agreement": False,
        "adjective_agreement": False,
        "passive": "particle",
        "script": "han",
        "spaces": False,
        "cognates": 0.0,
        "anchors": 0.05,
    },
}


Side = Literal["before", "after"]
Script = Literal[
    "latin", "latin-extended", "cyrillic", "greek", "armenian", "georgian", "kana", "han"
]
# The base language in other words, as a language of parallel/paraphrase.
PARAPHRASE = "aa2"
# Where a generated folder keeps the spec it came from.
SPEC_FILE = "conlang.yaml"
_STRICT = ConfigDict(frozen=True, extra="forbid")


class WorldSpec(BaseModel):
    """What there is to talk about, and how predictably it combines."""

    model_config = _STRICT

    nouns: int = Field(340, ge=1, description="common-noun concepts, including class names")
    classes: int = Field(
        28, ge=8, description="leaf classes of the hierarchy (persons, tools, ...)"
    )
    properties: int = Field(80, ge=2, description="properties (adjectives), in antonym pairs")
    events: int = Field(120, ge=8, description="events (verbs) with typed roles")
    manners: int = Field(30, ge=1, description="manners (adverbs)")
    topics: int = Field(14, ge=1, description="topics of documents")
    people: int = Field(60, ge=1, description="named persons")
    places: int = Field(30, ge=1, description="named places")
    organisations: int = Field(30, ge=1, description="named organisations")
    ambiguous_names: float = Field(
        0.2, ge=0, le=1, description="share of family and place names that are also common nouns"
    )
    preference: float = Field(
        1.0,
        ge=0,
        le=4,
        description="strength of selectional and topical preferences: 0 = none beyond class, "
        "1 = strong; scales the log-odds",
    )
    zipf: float = Field(
        1.0, ge=0, le=2, description="exponent of the frequency law within a choice"
    )

    @model_validator(mode="after")
    def _enough_concepts(self) -> "WorldSpec":
        if self.nouns < 3 * self.classes + 8:
            raise ValueError(
                f"nouns = {self.nouns} cannot fill {self.classes} classes: "
                f"give at least 3 * classes + 8 = {3 * self.classes + 8}"
            )
        return self


class DomainSpec(BaseModel):
    """One domain of monolingual text."""

    model_config = _STRICT

    sentences: int = Field(30_000, ge=0, description="sentences per language")
    shift: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how far topics, vocabulary and constructions depart from the shared ones",
    )


class ParallelSpec(BaseModel):
    """Held-out meanings, one line each in every language."""

    model_config = _STRICT

    heldout: int = Field(1000, ge=0, description="lines of parallel/heldout")
    paraphrase: int = Field(
        1000, ge=0, description="lines of parallel/paraphrase: the base language in two wordings"
    )
    train: int = Field(
        0, ge=0, description="lines of parallel/train, to learn maps or translations from"
    )


class SplitSpec(BaseModel):
    """Sizes of a part with gold labels, per language."""

    model_config = _STRICT

    train: int = Field(2000, ge=0, description="sentences or pairs for training")
    dev: int = Field(300, ge=0, description="for selection")
    test: int = Field(500, ge=0, description="for testing")


class LanguageSpec(BaseModel):
    """The typological parameters of one language; the defaults are the base language's."""

    model_config = _STRICT

    preset: Literal["base", "near", "mid", "far", "twin"] = Field(
        "base", description="preset that supplies the parameters not given"
    )
    order: Literal["SVO", "SOV", "VSO", "VOS", "OVS", "OSV", "free"] = Field(
        "SVO", description="order of subject, verb and object"
    )
    adjective: Side = Field("before", description="adjective relative to its noun")
    genitive: Side = Field("after", description="possessor relative to its noun")
    relative: Side = Field("after", description="relative clause relative to its noun")
    numeral: Side = Field("before", description="numeral relative to its noun")
    determiner: Side = Field("before", description="article and quantifier relative to their noun")
    adposition: Side = Field("before", description="before = prepositions, after = postpositions")
    oblique: Side = Field("after", description="place and agent phrases relative to the verb")
    adverb: Side = Field("after", description="adverb of manner relative to the verb")
    particles: Side = Field("before", description="auxiliaries and particles relative to the verb")
    subordinator: Literal["initial", "final"] = Field(
        "initial", description="position of the marker in a subordinate clause"
    )
    articles: Literal["none", "word", "affix"] = Field("word", description="(in)definiteness")
    case: Literal["none", "affix", "particle"] = Field("none", description="marking of roles")
    tense: Literal["affix", "particle"] = Field("affix", description="past and future")
    plural: Literal["none", "affix", "particle"] = Field("affix", description="plural of nouns")
    negation: Literal["affix", "particle"] = Field("particle", description="clause negation")
    passive: Literal["none", "affix", "auxiliary", "particle"] = Field(
        "auxiliary", description="how the passive is formed; none = the language has no passive"
    )
    copula: Literal["always", "not-present"] = Field("always", description="word for *be*")
    verb_agreement: bool = Field(True, description="verbs agree with the subject in number")
    adjective_agreement: bool = Field(False, description="adjectives agree in number and case")
    morphology: Literal["isolating", "agglutinating", "fusional"] = Field(
        "agglutinating",
        description="no affixes, one affix per feature, or one ending for all features",
    )
    extraposition: bool = Field(
        False, description="some relative clauses move to the clause end (non-projective trees)"
    )
    script: Script = Field("latin", description="alphabet; alphabets share no letter")
    spaces: bool = Field(True, description="whether spaces separate words")
    syllables: tuple[str, ...] = Field(
        ("CV", "CV", "CVC"), description="syllable shapes; repeat a shape to make it likelier"
    )
    homonyms: float = Field(
        0.02, ge=0, le=0.5, description="share of nouns that sound like another noun"
    )
    synonyms: float = Field(0.05, ge=0, le=1, description="share of nouns with a second word")
    cognates: float = Field(
        0.0, ge=0, le=1, description="share of content words derived from the base by sound change"
    )
    anchors: float = Field(
        0.0,
        ge=0,
        le=0.9,
        description="share of running tokens (words and punctuation; mean of the two languages) "
        "whose string is also a word of the base",
    )

    @field_validator("syllables")
    @classmethod
    def _syllable_shapes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or not all(re.fullmatch("C{0,2}VC{0,2}", shape) for shape in value):
            raise ValueError("give shapes such as [CV, CVC, CCV]: one V with up to two C a side")
        return value

    @model_validator(mode="after")
    def _possible(self) -> "LanguageSpec":
        if self.order == "free" and self.case == "none":
            raise ValueError("order = free needs case = affix or particle: nothing marks the roles")
        affixes = [
            name
            for name in ("articles", "case", "tense", "plural", "negation", "passive")
            if getattr(self, name) == "affix"
        ]
        if self.morphology == "isolating" and affixes:
            raise ValueError(f"morphology = isolating has no affixes, but {affixes[0]} = affix")
        if self.morphology == "isolating" and (self.verb_agreement or self.adjective_agreement):
            raise ValueError(
                "morphology = isolating has no agreement: set verb_agreement and "
                "adjective_agreement to false"
            )
        if self.script == "han" and self.morphology != "isolating":
            raise ValueError("script = han writes whole words: it needs morphology = isolating")
        if self.script == "han" and self.cognates:
            raise ValueError("cognates need an alphabet or syllabary, not script = han")
        return self


class ConlangSpec(BaseModel):
    """A world, its languages and the sizes of all parts of the data folder."""

    model_config = _STRICT

    seed: int = Field(1, ge=0, description="random seed; each seed gives another world")
    world: WorldSpec = WorldSpec()
    domains: dict[Text, DomainSpec] = Field(
        {"wiki": DomainSpec(), "web": DomainSpec(sentences=10_000, shift=0.5)},
        min_length=1,
        description="monolingual text by domain; evaluation parts use the first",
    )
    document: int = Field(8, ge=1, description="sentences per document (one topic each)")
    parallel_text: bool = Field(
        False, description="true: the monolingual texts of all languages say the same, line by line"
    )
    parallel: ParallelSpec = ParallelSpec()
    dictionary_test: float = Field(0.3, ge=0, le=1, description="share of source words for testing")
    ner: SplitSpec = SplitSpec()
    ud: SplitSpec = SplitSpec()
    nli: SplitSpec = SplitSpec()
    topics: SplitSpec = SplitSpec()
    languages: dict[Text, LanguageSpec] = Field(
        description=f"languages by code; the base language {BASE} is always there"
    )

    @model_validator(mode="before")
    @classmethod
    def _resolve_presets(cls, values: object) -> object:
        """Fill every language from its preset, so that what is recorded is complete."""
        if not isinstance(values, dict) or not isinstance(values.get("languages", {}), dict):
            return values
        given = dict(values.get("languages", {}))
        base = given.pop(BASE, None) or {}
        resolved = {BASE: base}
        for code, value in given.items():
            if isinstance(value, str):
                value = {"preset": value}
            resolved[code] = _with_preset(value, base) if isinstance(value, dict) else value
        return {**values, "languages": resolved}

    @field_validator("languages", "domains")
    @classmethod
    def _codes(cls, value: dict[str, object]) -> dict[str, object]:
        for code in value:
            if not re.fullmatch("[a-z][a-z0-9]*", code):
                raise ValueError(f"{code!r} is not a name of lower-case letters and digits")
        if PARAPHRASE in value:
            raise ValueError(f"{PARAPHRASE!r} is the name of the base language's paraphrases")
        return value

    @model_validator(mode="after")
    def _base_borrows_nothing(self) -> "ConlangSpec":
        base = self.languages[BASE]
        if base.anchors or base.cognates or base.preset != "base":
            raise ValueError(f"languages.{BASE}: the base has no preset, anchors or cognates")
        return self

    @classmethod
    def load(cls, path: Path) -> "ConlangSpec":
        """Read a specification from a YAML file.

        Raises:
            XlingError: Naming the file and the field at fault.
        """
        return cls.parse(read_yaml(path), str(path))

    @classmethod
    def parse(cls, values: object, origin: str) -> "ConlangSpec":
        """Check values read from ``origin`` (named in errors)."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise XlingError(
                f"{origin}: {explain(error)}; see docs/conlang.md for the fields"
            ) from None


def _with_preset(value: dict[str, object], base: dict[str, object]) -> dict[str, object]:
    preset = value.get("preset", "base")
    if preset == "twin":
        return {**base, "script": "latin-extended", **value}
    return {**PRESETS.get(str(preset), {}), **value}


DIMENSIONS: dict[str, tuple[str, ...]] = {
    "order": (
        "order", "adjective", "genitive", "relative", "numeral", "determiner", "adposition",
        "oblique", "adverb", "particles", "subordinator", "extraposition",
    ),
    "marking": (
        "articles", "case", "tense", "plural", "negation", "passive", "copula",
        "verb_agreement", "adjective_agreement", "morphology",
    ),
    "sound": ("script", "spaces", "syllables"),
    "words": ("lexicon",),
}  # fmt: skip


def distance(a: LanguageSpec, b: LanguageSpec) -> dict[str, float]:
    """Return the share of parameters in which two languages differ.

    Languages are compared by their parameters. For ``words``, the share is that of content words
    that neither cognates nor anchors bring together (one language being the base; 0 for a language
    and itself).

    Args:
        a: One language's parameters.
        b: The other's.

    Returns:
        For each dimension (``order``, ``marking``, ``sound``, ``words``) the share of its
        parameters that differ, and ``all``: the mean over the dimensions; each in [0, 1].

    Example:
        >>> distance(LanguageSpec(), LanguageSpec(order="SOV"))["order"]
        0.08333333333333333
    """
    found: dict[str, float] = {}
    for dimension, parameters in DIMENSIONS.items():
        if dimension != "words":
            differ = sum(getattr(a, name) != getattr(b, name) for name in parameters)
            found[dimension] = differ / len(parameters)
    shared = max(a.cognates, b.cognates) + max(a.anchors, b.anchors)
    found["words"] = 0.0 if a == b else max(0.0, 1 - shared)
    found["all"] = sum(found.values()) / len(found)
    return found
