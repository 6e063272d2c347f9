"""The specification of a data folder that is filled from the hub: what goes into which part."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.data.hub.presets import PRESETS
from xling.data.layout import TASK_ENDINGS
from xling.files import JsonObject
from xling.names import Language, Languages, Name, Text, cut_dictionary

CONVERTED = "refs/convert/parquet"
_STRICT = ConfigDict(frozen=True, extra="forbid")
_COMMIT = re.compile("[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_SETS = ("text", "parallel", "pairs")
# What each task's files are made from; UD's id and text are comments of its files.
_FIELDS = {
    "nli": ("premise", "hypothesis", "label"),
    "ner": ("tokens", "tags"),
    "ud": ("id", "text", "tokens", "upos", "head", "deprel"),
    "topics": ("id", "label", "text"),
}


class Source(BaseModel):
    """A data set of parquet files, on the hub or in a local folder."""

    model_config = _STRICT

    data: str = Field(
        description="OWNER/NAME on the hub, or the path of a folder (beginning with / or .)."
    )
    revision: str | None = Field(
        None,
        description=f"Commit on the hub, or {CONVERTED} (the hub's own current conversion).",
    )
    files: str = Field(
        description="The parquet files: a pattern with {config} and {split} for the names."
    )
    config: str | None = Field(
        None, description="Name of a language's configuration: a pattern with {language}."
    )
    configs: dict[Language, Text] = Field(
        {},
        description="Names of configurations by language, for those that do not follow the "
        "pattern.",
    )
    languages: Languages | None = Field(
        None, description="Languages to take; None takes all of the folder."
    )
    licence: str = Field(description="Licence to record in data.yaml.")

    @property
    def on_hub(self) -> bool:
        """Whether ``data`` names a repository rather than a folder."""
        return bool(_REPOSITORY.fullmatch(self.data))

    @model_validator(mode="after")
    def _pinned(self) -> "Source":
        if not self.on_hub and not self.data.startswith(("/", ".", "~")):
            raise ValueError(
                f"data: found {self.data!r}, expected OWNER/NAME of a data set on the hub, or the "
                "path of a folder that begins with / or ."
            )
        if not self.on_hub or self.revision == CONVERTED:
            return self
        if self.revision is None or not _COMMIT.fullmatch(self.revision):
            raise ValueError(
                f"revision: found {self.revision!r} for {self.data}, expected a commit (40 "
                f"hexadecimal digits) or {CONVERTED}: a branch such as main changes under you"
            )
        return self

    def config_of(self, language: str) -> str | None:
        """Return the name of a language's configuration, or None if it is not given."""
        if language in self.configs:
            return self.configs[language]
        return self.config.replace("{language}", language) if self.config else None


class TextSource(Source):
    """Articles or pages; each non-empty line of one becomes a line of text."""

    split: str = Field("train", description="The split to read.")
    column: str = Field("text", description="The column with the text.")
    lines: int | None = Field(None, ge=1, description="Maximum lines per language.")
    characters: int | None = Field(None, ge=1, description="Maximum characters per language.")
    size_of: Name | None = Field(
        None,
        description="Take, per language, as many characters as this other domain has; the "
        "line that reaches the limit is kept whole.",
    )


class ParallelSource(Source):
    """One configuration per language; row i means the same in all of them."""

    splits: tuple[str, ...] = Field(min_length=1, description="Splits to join, in this order.")
    columns: tuple[str, ...] = Field(min_length=1, description="Columns that hold a sentence.")
    same: str | None = Field(
        None,
        description="A column that must be equal in all languages: a row's name, or its label.",
    )


class PairsSource(Source):
    """One configuration per language with a pivot; becomes parallel/NAME-LANG."""

    pivot: Language = Field(description="The language that all others are paired with.")
    split: str = Field("test", description="The split to read.")
    columns: tuple[str, str] = Field(description="Columns of the language and of the pivot.")


class TaskSource(Source):
    """Labelled data with one configuration per language."""

    splits: dict[Literal["train", "dev", "test"], str] = Field(
        min_length=1, description="Splits of the layout, and their names in the data set."
    )
    fields: dict[str, str] = Field(description="The fields of a row, and their columns.")
    names: tuple[str, ...] | None = Field(
        None, description="Names of labels 0, 1, ... if the files do not give them."
    )
    train: tuple[Language, ...] | None = Field(
        None, description="Languages whose train split is taken; None takes all."
    )


class DictionarySource(BaseModel):
    """Word lists in local files: source and target, separated by a tab or by one space."""

    model_config = _STRICT

    train: Path | None = Field(None, description="Words to learn from.")
    test: Path | None = Field(None, description="Words to score on.")
    source: str = Field(description="Where the words come from.")
    licence: str = Field(description="Licence to record in data.yaml.")


class HubSpec(BaseModel):
    """What to put into the parts of a data folder.

    A source can be given as the name of a preset, or as settings with the key ``preset``, which
    then change that preset.
    """

    model_config = _STRICT

    languages: Languages = Field(min_length=1, description="In the order that tables use.")
    text: dict[Name, TextSource] = Field({}, description="By domain.")
    parallel: dict[Name, ParallelSource] = Field({}, description="By name of the set.")
    pairs: dict[Name, PairsSource] = Field(
        {}, description="By name; parallel/NAME-LANG has LANG and the pivot."
    )
    dictionaries: dict[Name, DictionarySource] = Field({}, description="By SRC-TGT.")
    nli: TaskSource | None = Field(None, description="Inference.")
    ner: TaskSource | None = Field(None, description="Named entities.")
    ud: TaskSource | None = Field(None, description="Dependency trees.")
    topics: TaskSource | None = Field(None, description="Topics.")

    @model_validator(mode="before")
    @classmethod
    def _presets(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        resolved = dict(values)
        for part in _SETS:
            if isinstance(values.get(part), Mapping):
                resolved[part] = {
                    name: _from_preset(part, value) for name, value in values[part].items()
                }
        for part in TASK_ENDINGS:
            if part in values:
                resolved[part] = _from_preset(part, values[part])
        return resolved

    @model_validator(mode="after")
    def _complete(self) -> "HubSpec":
        for part, source in self.sources():
            named = {
                *(source.languages or ()),
                *([source.pivot] if isinstance(source, PairsSource) else []),
            }
            unknown = sorted(named - set(self.languages))
            if unknown:
                raise ValueError(f"{part}: {', '.join(unknown)} not among languages")
            for language in self.languages_of(source):
                if source.config_of(language) is None:
                    raise ValueError(
                        f"{part}: no configuration of {source.data} known for {language}; add "
                        f"configs: {{{language}: NAME}}, or leave it out with languages"
                    )
        for part, expected in _FIELDS.items():
            task: TaskSource | None = getattr(self, part)
            if task and set(task.fields) != set(expected):
                found = ", ".join(sorted(task.fields))
                raise ValueError(f"{part}.fields: found {found}; expected {', '.join(expected)}")
        domains = list(self.text)
        for domain, source in self.text.items():
            if source.size_of and source.size_of not in domains[: domains.index(domain)]:
                raise ValueError(
                    f"text.{domain}.size_of: found {source.size_of!r}, expected a domain before it"
                )
        for pair in self.dictionaries:
            if not {*cut_dictionary(pair, self.languages)} <= {*self.languages}:
                raise ValueError(f"dictionaries: {pair!r} is not two of the languages, SRC-TGT")
        return self

    def sources(self) -> list[tuple[str, Source]]:
        """Return every source but dictionaries, with the part it fills."""
        found: list[tuple[str, Source]] = []
        for part in _SETS:
            folder = "parallel" if part == "pairs" else part
            found += [(f"{folder}/{name}", value) for name, value in getattr(self, part).items()]
        tasks = [(part, getattr(self, part)) for part in TASK_ENDINGS]
        return found + [(part, task) for part, task in tasks if task]

    def languages_of(self, source: Source) -> tuple[str, ...]:
        """Return the languages to take from a source; for pairs, without their pivot."""
        pivot = source.pivot if isinstance(source, PairsSource) else None
        chosen = self.languages if source.languages is None else source.languages
        return tuple(language for language in chosen if language != pivot)


def _from_preset(part: str, value: object) -> object:
    """Return a source with the settings of its preset filled in."""
    if isinstance(value, str):
        value = {"preset": value}
    if not isinstance(value, Mapping) or "preset" not in value:
        return value
    known: dict[str, JsonObject] = PRESETS[part]
    name = value["preset"]
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"{part}: found preset {name!r}, expected one of {', '.join(known)}")
    changes = {key: change for key, change in value.items() if key != "preset"}
    merged = {**known[name], **changes}
    if isinstance(changes.get("configs"), Mapping):
        merged["configs"] = {**known[name].get("configs", {}), **changes["configs"]}
    return merged
