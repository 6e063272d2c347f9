"""What a study measures of models' geometry: settings, and the jobs they make.

Conneau et al. 2020, section 5.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from xling.alignment.config import CompareSettings, SentenceSettings, WordSettings
from xling.errors import XlingError
from xling.files import JsonObject
from xling.names import Name
from xling.settings import explain
from xling.transfer.config import ContextSettings, Task

Part = Mapping[str, Any]  # settings of a verb, not validated yet


class GeometryConfig(BaseModel):
    """Which models of a study are aligned and compared, and how.

    A model is the family of a variant: its base language's encoder is the source, each other
    language's a target. Each part holds what differs from the defaults of its verb; a part that is
    not named is not measured.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    variants: tuple[Name, ...] = Field(
        ("monolingual",), min_length=1, description="variants of the study to measure"
    )
    seeds: tuple[int, ...] = Field(
        (), description="the study's seeds to measure; empty measures all"
    )
    train: Name | None = Field(
        None, description="parallel set on which sentences and context are aligned; never measured"
    )
    words: Part | None = Field(
        None, description="lexicon induction (Fig. 4): settings of `xling align words`"
    )
    sentences: Part | None = Field(
        None, description="retrieval (Fig. 6): settings of `xling align sentences`"
    )
    context: Mapping[Task, Part] = Field(
        default_factory=dict,
        description="transfer through a map (Fig. 5 and 8): tasks, each with settings of "
        "`xling transfer`",
    )
    context_lines: int = Field(10_000, ge=1, description="lines of train whose words are aligned")
    similarity: Part | None = Field(
        None, description="every layer against every layer (Fig. 7): settings of `xling similarity`"
    )

    @model_validator(mode="after")
    def _has_lines_to_learn_from(self) -> Self:
        if self.train is None and (self.sentences is not None or self.context):
            raise ValueError(
                "sentences and context learn their maps from parallel lines: name a set with train"
            )
        return self

    def measures(self, variant: str, seed: int) -> bool:
        """Tell whether a model is to be measured."""
        return variant in self.variants and (not self.seeds or seed in self.seeds)

    def parts(
        self, pair: tuple[str, str], domains: Mapping[str, tuple[str, ...]], seed: int, gold: bool
    ) -> Iterator[tuple[str, str, Part]]:
        """Yield (stage, what to call the job after the pair, settings) for one model.

        Args:
            pair: Source and target language.
            domains: Domains of each language's text.
            seed: Seed of the model and of what is learnt on it.
            gold: Whether the languages have tasks; derived languages do not.

        Raises:
            XlingError: a setting that does not exist, or one that the study decides.
        """
        languages: JsonObject = {"languages": list(pair)}
        if self.words is not None:
            text = {language: list(domains[language]) for language in pair}
            yield self._part(
                "align-words", "", WordSettings, "words", self.words, languages | {"text": text}
            )
        if self.sentences is not None:
            decided = languages | {"train": self.train}
            yield self._part(
                "align-sentences", "", SentenceSettings, "sentences", self.sentences, decided
            )
        if self.similarity is not None:
            yield self._part(
                "similarity", "", CompareSettings, "similarity", self.similarity, languages
            )
        for task, settings in self.context.items() if gold else ():
            decided = languages | {"train": self.train, "train_lines": self.context_lines}
            transfer = {"transfer": {"seeds": [seed], **settings, "task": task}}
            yield self._part(
                "align-context", f"{task}-", ContextSettings, f"context.{task}", transfer, decided
            )

    def _part(
        self,
        stage: str,
        name: str,
        model: type[BaseModel],
        key: str,
        given: Part,
        decided: Part,
    ) -> tuple[str, str, Part]:
        taken = sorted(given.keys() & decided.keys())
        if taken:
            raise XlingError(f"geometry.{key}.{taken[0]}: the study decides it; leave it out")
        try:
            settings = model.model_validate({**given, **decided})
        except ValidationError as error:
            raise XlingError(f"geometry.{key}: {explain(error)}") from None
        return stage, name, settings.model_dump(mode="json")

    @property
    def measured(self) -> dict[str, tuple[str, ...] | None]:
        """Parallel sets that are measured on, by the key that names them; None for all."""
        found: dict[str, tuple[str, ...] | None] = {}
        for key, part, name in (
            ("sentences", self.sentences, "test"),
            ("similarity", self.similarity, "datasets"),
        ):
            if part is not None:
                named = part.get(name)
                found[f"geometry.{key}.{name}"] = None if named is None else tuple(named)
        return found
