"""A study file: which variants, pairs and seeds of what model on what text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from xling.errors import XlingError
from xling.files import read_yaml
from xling.model.shape import ModelShape
from xling.model.sharing import SharingPlan
from xling.pretraining.config import PretrainingConfig
from xling.settings import explain
from xling.similarity.config import ProbeConfig
from xling.tokens.config import TokensConfig
from xling.vocabulary.config import VocabularyConfig

Pair = tuple[str, str]
# Becomes part of folder names.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Variant(BaseModel):
    """What one variant trains; a study's own settings with some of them changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: tuple[str, ...] | Mapping[str, tuple[str, ...]] = Field(
        ...,
        description="domains (or halves, 'help:first-half') of every language, or for each "
        "language its own",
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
    tokens: TokensConfig = Field(default_factory=TokensConfig)
    model: ModelShape = Field(default_factory=ModelShape)
    separate: tuple[str, ...] = Field((), description="parts each language has for itself")
    pretraining: PretrainingConfig = Field(..., description="its seed is set by the study")

    @model_validator(mode="after")
    def _separate_parts_exist(self) -> Self:
        try:
            SharingPlan.parse(self.separate, self.model.layers)
        except XlingError as error:
            raise ValueError(str(error)) from None
        return self

    def text_of(self, pair: Pair) -> dict[str, tuple[str, ...]]:
        """Return each language's parts of text.

        Raises:
            XlingError: ``text`` names languages, but not both of the pair.
        """
        if isinstance(self.text, Mapping):
            missing = [language for language in pair if language not in self.text]
            if missing:
                there = ", ".join(self.text) or "no language"
                raise XlingError(
                    f"text: it names {there} but the pair {'-'.join(pair)} "
                    f"needs {', '.join(missing)} too"
                )
            return {language: self.text[language] for language in pair}
        return dict.fromkeys(pair, self.text)


class StudyConfig(BaseModel):
    """A whole study. Settings at the top hold for every variant that does not change them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: str = Field("", description="heading of the report")
    description: str = Field("", description="what is asked, in a sentence or two")
    world: Path | None = Field(
        None,
        description="a conlang specification, relative to the study file, that makes the data; "
        "without it the data folder is given on the command line",
    )
    pairs: tuple[str, ...] = Field(..., min_length=1, description="e.g. [en-fr]; base first")
    seeds: tuple[int, ...] = Field((1,), min_length=1)
    variants: Mapping[Name, Mapping[str, Any]] = Field(
        ..., min_length=1, description="name to what differs from the settings at the top"
    )
    threads: int = Field(
        1, ge=1, description="cores of one training run; several runs go side by side"
    )
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    text: tuple[str, ...] | Mapping[str, tuple[str, ...]] = Field(...)
    vocabulary: Mapping[str, Any] = Field(default_factory=dict)
    tokens: Mapping[str, Any] = Field(default_factory=dict)
    model: Mapping[str, Any] = Field(default_factory=dict)
    separate: tuple[str, ...] = ()
    pretraining: Mapping[str, Any] = Field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "StudyConfig":
        """Read and validate a study file, every variant included.

        Raises:
            XlingError: what is wrong, by file and key.
        """
        content = read_yaml(path)
        if not isinstance(content, dict):
            raise XlingError(f"{path}: expected a mapping with name, pairs, variants, ...")
        content = {key: {} if value is None else value for key, value in content.items()}
        if isinstance(content.get("variants"), dict):
            content["variants"] = {k: v or {} for k, v in content["variants"].items()}
        try:
            study = cls.model_validate(content)
            for name in study.variants:
                variant = study.variant(name)
                for pair in study.pairs:
                    _check_text(name, variant, languages(pair))
        except ValidationError as error:
            raise XlingError(f"{path}: {explain(error)}") from None
        except XlingError as error:
            raise XlingError(f"{path}: {error}") from None
        return study.model_copy(
            update={"world": path.parent / study.world if study.world else None}
        )

    def variant(self, name: str) -> Variant:
        """Return a variant with everything it inherits from the top filled in."""
        inherited = {field: getattr(self, field) for field in Variant.model_fields}
        settings = _merged(inherited, self.variants[name])
        if "seed" in settings["pretraining"]:
            raise XlingError(
                f"variants.{name}.pretraining.seed: the study's seeds set it; use seeds"
            )
        try:
            return Variant.model_validate(settings)
        except ValidationError as error:
            raise XlingError(f"variants.{name}: {explain(error)}") from None


def languages(pair: str) -> Pair:
    """Split ``en-fr`` into its two languages, the base first."""
    parts = pair.split("-")
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise XlingError(f"pairs: {pair!r}; expected two different languages, e.g. en-fr")
    return parts[0], parts[1]


def _check_text(name: str, variant: Variant, pair: Pair) -> None:
    try:
        variant.text_of(pair)
    except XlingError as error:
        raise XlingError(f"variants.{name}: {error}") from None


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``changes``; mappings are merged key by key, except text."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        if key != "text" and isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result
