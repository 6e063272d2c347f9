"""A study file: which variants, pairs and seeds of what model on what text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from xling import names
from xling.data.layout import DataFolder
from xling.data.preparing.settings import PrepareSettings
from xling.data.selection import LanguageText, MatchedText, TextPart
from xling.errors import XlingError
from xling.files import JsonObject
from xling.model.architecture import ModelShape
from xling.model.sharing import SharingPlan
from xling.names import Language, Name, pair_languages, pair_name
from xling.pretraining.config import PretrainingConfig
from xling.settings import explain, load_settings
from xling.similarity.config import ProbeConfig
from xling.study.extends import StudyFile, located, located_faults, merged
from xling.study.geometry import GeometryConfig
from xling.study.presets import layers_of_changes
from xling.study.resources import ResourceRequest, Stage
from xling.study.shipped import shipped_name
from xling.tokens.build import TokensConfig
from xling.transfer.config import Task as TaskName
from xling.transfer.config import TransferConfig
from xling.vocabulary.build import VocabularyConfig

# The languages trained together, the base first: two or more.
Pair = tuple[str, ...]
Parts = tuple[names.Text, ...]
Text = Parts | Mapping[Language, Parts]


class Variant(BaseModel):
    """What one variant trains: the study's settings with some of them changed.

    Only variants have ``domain`` and ``derive``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text = Field(
        ...,
        description="domains (or parts, 'help:first-half') of every language, or a mapping "
        "from each language to its own",
    )
    other_domain: Text = Field(
        (), description="the text that `domain: other` uses, written like text"
    )
    domain: Literal["own", "other"] = Field(
        "own",
        description="other: all languages except the base learn from other_domain, cut to the "
        "size of their text",
    )
    derive: Literal["same", "inverted"] | None = Field(
        None,
        description="pair the base with a language derived from it, in place of the other "
        "languages: a copy, or one with the words of each line in reverse order",
    )
    vocabulary: VocabularyConfig = Field(default_factory=VocabularyConfig)
    tokens: TokensConfig = Field(default_factory=TokensConfig)
    model: ModelShape = Field(default_factory=ModelShape)
    separate: tuple[str, ...] = Field((), description="parts that each language has separately")
    pretraining: PretrainingConfig = Field(
        ..., description="settings of training; the study sets its seed"
    )
    seeds: tuple[int, ...] = Field((1,), min_length=1, description="one model is trained per seed")

    @model_validator(mode="after")
    def _separate_parts_exist(self) -> Self:
        try:
            plan = SharingPlan.parse(self.separate, self.model.layers)
            plan.check_vocabulary(self.vocabulary.kind)
            self.model.check_plan(plan)
            self.pretraining.check_plan(plan, self.vocabulary.kind)
        except XlingError as error:
            raise ValueError(str(error)) from None
        return self

    @model_validator(mode="after")
    def _other_domain_is_named(self) -> Self:
        if self.domain == "other" and not self.other_domain:
            raise ValueError(
                "domain: other needs other_domain, e.g. `other_domain: [web]` at the top"
            )
        return self

    def languages(self, pair: Pair) -> Pair:
        """Return the languages trained for a pair of the study, the base first."""
        if self.derive is None:
            return pair
        return pair[0], derived_language(pair[0], self.derive)

    def text_of(self, pair: Pair) -> dict[str, LanguageText]:
        """Return the text that each language of a pair is learnt from.

        Raises:
            XlingError: ``text`` names languages, but not all of the pair.
        """
        base, *others = self.languages(pair)
        text: dict[str, LanguageText] = {base: _parts("text", self.text, base)}
        for language in others:
            # A derived language may also have the text of the language it is made from.
            names = (language, base) if self.derive else (language,)
            own = _parts("text", self.text, *names)
            text[language] = own
            if self.domain == "other":
                other = _parts("other_domain", self.other_domain, *names)
                text[language] = MatchedText(parts=other, size_of=own)
        return text


class StudyConfig(BaseModel):
    """A whole study. Settings at the top hold for every variant that does not change them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: str = Field("", description="heading of the report")
    description: str = Field("", description="the question, in a sentence or two")
    world: Path | None = Field(
        None,
        description="the specification of constructed languages to make the data from: a "
        "file, relative to the study file, or a name that comes with xling; "
        "without it, pass the data folder on the command line",
    )
    prepare: PrepareSettings | None = Field(
        None,
        description="how to prepare the data before anything else: steps as `xling data prepare` "
        "takes them, or a file of them, relative to the study file, or a shipped name; each "
        "language is a job",
    )
    pairs: tuple[str, ...] = Field(
        ...,
        min_length=1,
        description="e.g. [en-fr], base first; en-fr-ru is one model of three languages; also "
        "as lists: [[en, zh-Hans]]",
    )
    like: Mapping[str, Literal["fr", "ru", "zh"]] = Field(
        default_factory=dict,
        description="which pairs stand for the paper's en-fr, en-ru and en-zh in the report, "
        "e.g. {aa-near: fr}; en-fr, en-ru and en-zh stand for themselves",
    )
    seeds: tuple[int, ...] = Field((1,), min_length=1)
    variants: Mapping[Name, Mapping[str, object]] = Field(
        ...,
        min_length=1,
        description="a list of preset names; or a mapping from a name to {} for the preset of "
        "that name, to {preset: NAME, ...} for a preset with changes, or to "
        "settings that differ from those at the top",
    )
    threads: int = Field(
        1, ge=1, description="cores per training run; several runs share the machine"
    )
    resources: Mapping[Stage, ResourceRequest] = Field(
        default_factory=dict,
        description="what jobs of a stage request, e.g. {pretrain: {threads: 4, gpus: 1}}",
    )
    probe: ProbeConfig = Field(default_factory=ProbeConfig)
    text: Text = Field(...)
    other_domain: Text = ()
    vocabulary: Mapping[str, object] = Field(default_factory=dict)
    tokens: Mapping[str, object] = Field(default_factory=dict)
    model: Mapping[str, object] = Field(default_factory=dict)
    separate: tuple[str, ...] = ()
    pretraining: Mapping[str, object] = Field(default_factory=dict)
    transfer: Mapping[TaskName, Mapping[str, object]] = Field(
        default_factory=dict,
        description="tasks to fine-tune on the base language and test on the others, each "
        "with the settings that differ from the defaults of `xling transfer`",
    )

    geometry: GeometryConfig | None = Field(
        None,
        description="alignment and similarity of models (Conneau et al. 2020, section 5), for "
        "some variants",
    )

    @field_serializer("world", when_used="json-unless-none")
    def _world_by_name(self, world: Path) -> str:
        """Write a shipped world by its name, which is the same on every machine."""
        return shipped_name(world) or str(world)

    @field_validator("pairs", mode="before")
    @classmethod
    def _pairs_by_name(cls, value: object) -> object:
        return [_pair(pair, ()) for pair in value] if isinstance(value, list | tuple) else value

    @field_validator("like", mode="before")
    @classmethod
    def _like_by_name(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        return {_pair(pair, ()): language for pair, language in value.items()}

    @field_validator("transfer", mode="before")
    @classmethod
    def _tasks_from_names(cls, value: object) -> object:
        return {task: {} for task in value} if isinstance(value, list) else value

    @field_validator("variants", mode="before")
    @classmethod
    def _from_names(cls, value: object) -> object:
        if isinstance(value, list):
            for name in value:
                if found := names.not_text(name):
                    raise ValueError(f"found {found}")
            if len({*map(str, value)}) < len(value):
                raise ValueError("a variant is named twice")
            return {str(name): {} for name in value}
        if isinstance(value, Mapping):
            return {name: {} if changes is None else changes for name, changes in value.items()}
        return value

    @model_validator(mode="after")
    def _like_names_pairs_once(self) -> Self:
        if unknown := sorted(self.like.keys() - set(self.pairs)):
            raise ValueError(f"like: {unknown[0]} is no pair of this study")
        if len({*self.like.values()}) < len(self.like):
            raise ValueError("like: two pairs stand for the same language of the paper")
        return self

    @classmethod
    def load(cls, path: Path, data: Path | None = None) -> "StudyConfig":
        """Read and validate a study file, every variant included.

        Args:
            path: The file.
            data: Its data folder, if it is given one: pairs are of the languages there.

        Raises:
            XlingError: what is wrong, by file and key.
        """
        file = StudyFile.read(path)
        # A part without settings has the defaults; a name is no part.
        content: JsonObject = {
            key: {} if value is None and key != "name" else value
            for key, value in file.content.items()
        }
        if isinstance(content.get("prepare"), str):
            steps = load_settings(Path(content["prepare"]), PrepareSettings)
            content["prepare"] = steps.model_dump()
        known = _languages_there(content, data) if _unclear(content) else ()
        try:
            _name_pairs(content, known)
            study = cls.model_validate(content)
            for name in study.variants:
                variant = study.variant(name)
                _check_held_out(name, variant, study.measured(name))
                for pair in study.pairs:
                    _check_text(name, variant, languages(pair))
            for task in study.transfer:
                study.transfer_config(task, languages(study.pairs[0]), seed=1)
            study.check_geometry()
        except ValidationError as error:
            raise XlingError(located_faults(file, error)) from None
        except XlingError as error:
            raise XlingError(located(file, str(error))) from None
        return study

    def variant(self, name: str) -> Variant:
        """Return a variant with everything it inherits from the top filled in."""
        settings: JsonObject = {
            field: getattr(self, field)
            for field in Variant.model_fields
            if field in StudyConfig.model_fields
        }
        for changes in layers_of_changes(name, self.variants[name]):
            settings = merged(settings, changes)
        if "seed" in settings["pretraining"]:
            raise XlingError(
                f"variants.{name}.pretraining.seed: the study's seeds set it; use seeds"
            )
        try:
            return Variant.model_validate(settings)
        except ValidationError as error:
            raise XlingError(f"variants.{name}: {explain(error)}") from None

    def measured(self, name: str) -> dict[str, tuple[str, ...] | None]:
        """Return the parallel sets a variant is measured on, by key; None for all of them."""
        found = {"probe.datasets": self.probe.datasets}
        if self.geometry and name in self.geometry.variants:
            found |= self.geometry.measured
        return found

    def check_geometry(self) -> None:
        """Refuse geometry of variants or settings that do not exist.

        Raises:
            XlingError: by key.
        """
        if self.geometry is None:
            return
        unknown = [name for name in self.geometry.variants if name not in self.variants]
        if unknown:
            raise XlingError(
                f"geometry.variants: no variant {unknown[0]}; there are {', '.join(self.variants)}"
            )
        base, other, *_ = languages(self.pairs[0])
        domains = {base: ("text",), other: ("text",)}
        list(self.geometry.parts((base, other), domains, seed=1, gold=True))

    def transfer_config(self, task: TaskName, pair: Pair, seed: int) -> TransferConfig:
        """Return how a model of some seed is fine-tuned on a pair's base and tested on the others.

        Raises:
            XlingError: a setting that does not exist, or one that the study decides.
        """
        settings = self.transfer[task]
        decided = {"task": task, "source": pair[0], "targets": pair[1:], "seeds": (seed,)}
        taken = sorted(decided.keys() & settings.keys())
        if taken:
            raise XlingError(f"transfer.{task}.{taken[0]}: the study's pairs and seeds decide it")
        try:
            return TransferConfig.model_validate({**settings, **decided})
        except ValidationError as error:
            raise XlingError(f"transfer.{task}: {explain(error)}") from None


def languages(pair: str) -> Pair:
    """Split ``en-fr`` (or ``en-fr-ru``) into its languages, the base first."""
    return pair_languages(pair)


def _unclear(content: Mapping[str, object]) -> bool:
    """Tell whether a pair may be read in several ways, so that the known languages must decide."""
    pairs, like = content.get("pairs"), content.get("like")
    written = [*pairs] if isinstance(pairs, list) else []
    written += [*like] if isinstance(like, dict) else []
    return any(isinstance(pair, str) and pair.count("-") > 1 for pair in written)


def _name_pairs(content: dict[str, object], known: Sequence[str]) -> None:
    """Write a study's pairs and the keys of ``like`` as `pair_name` does.

    Raises:
        XlingError: an invalid pair, by key.
    """
    pairs, like = content.get("pairs"), content.get("like")
    key = "pairs"
    try:
        if isinstance(pairs, list):
            content["pairs"] = [_pair(pair, known) for pair in pairs]
        key = "like"
        if isinstance(like, dict):
            content["like"] = {_pair(pair, known): code for pair, code in like.items()}
    except ValueError as error:
        raise XlingError(f"{key}: {error}") from None


def _languages_there(content: Mapping[str, object], data: Path | None) -> tuple[str, ...]:
    """Return the languages of a study's data folder, or without one those that its text names.

    (Languages of a world have no hyphens, so their pairs are never ambiguous.)
    """
    if data is not None and content.get("world") is None:
        folder = DataFolder(data)
        sets = [("text", name) for name in folder.domains()]
        sets += [("parallel", name) for name in folder.parallel_sets()]
        found = [language for part in sets for language in folder.set_languages(*part)]
        return tuple(dict.fromkeys([*folder.languages, *found]))
    text = content.get("text")
    return tuple(map(str, text)) if isinstance(text, Mapping) else ()


def _pair(written: object, known: Sequence[str]) -> str:
    """Return the name of a pair that is written as one or as a list of languages.

    Raises:
        ValueError: it is neither.
    """
    try:
        if isinstance(written, str):
            pair = names.cut_pair(written, known)
        elif isinstance(written, list | tuple):
            wrong = [found for found in map(names.not_text, written) if found]
            if wrong or not all(isinstance(language, str) for language in written):
                raise XlingError(f"found {wrong[0] if wrong else repr(written)}")
            pair = tuple(written)
        else:
            raise XlingError(f"found {names.not_text(written) or repr(written)}")
        if len(pair) < 2 or len({*pair}) < len(pair):
            raise XlingError(
                f"{written!r}; expected two or more different languages, e.g. en-fr or "
                "[en, zh-Hans]"
            )
        for language in pair:
            names.check_language(language)
    except XlingError as error:
        raise ValueError(str(error)) from None
    return pair_name(pair)


def derived_language(base: str, how: str) -> str:
    """Name the language that is derived from a base language, e.g. ``en_inverted``."""
    return f"{base}_{how}"


def _parts(key: str, text: Text, *names: str) -> tuple[TextPart, ...]:
    """Return the parts of the first of the languages that a text names, or of all languages."""
    if isinstance(text, Mapping):
        found = [text[name] for name in names if name in text]
        if not found:
            there = ", ".join(text) or "no language"
            raise XlingError(f"{key}: it names {there}, but {names[0]} is needed too")
        return tuple(map(_part, found[0]))
    return tuple(map(_part, text))


def _part(written: str) -> TextPart:
    try:
        return TextPart.model_validate(written)
    except ValidationError as error:
        raise XlingError(
            f"text: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from None


def _check_held_out(
    name: str, variant: Variant, measured: Mapping[str, tuple[str, ...] | None]
) -> None:
    """Refuse to train on parallel sets that the study measures on."""
    learnt = variant.pretraining.tlm.sets if variant.pretraining.tlm else ()
    for key, sets in measured.items():
        if learnt and sets is None:
            raise XlingError(
                f"variants.{name}.pretraining.tlm.sets: learns from {', '.join(learnt)}, but "
                f"scores are measured on every parallel set; name the others in {key}"
            )
        both = sorted({*learnt} & {*(sets or ())})
        if both:
            raise XlingError(
                f"variants.{name}.pretraining.tlm.sets: {', '.join(both)} is in {key} too; "
                "what a model learnt from cannot measure it"
            )


def _check_text(name: str, variant: Variant, pair: Pair) -> None:
    try:
        variant.text_of(pair)
    except XlingError as error:
        raise XlingError(f"variants.{name}: {error}") from None
