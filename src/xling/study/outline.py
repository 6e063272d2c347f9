"""The jobs of a study whose data is not there yet: the same ones, known by what they will read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xling.data.selection import LanguageText, named_parts
from xling.study.config import Pair, StudyConfig, Variant
from xling.study.plan import Planner

_ABSENT = Path("DATA")


class Outline(Planner):
    """Plans without looking at data, to count jobs and costs before there is any.

    Where `Planner` names a job by the content of the files that it reads, an outline takes the
    names of the files.

    Args:
        study: A study that is given its data.
    """

    def __init__(self, study: StudyConfig) -> None:
        super().__init__(study, _ABSENT)

    def _source(self, text: Mapping[str, LanguageText]) -> Any:
        return {
            language: list(map(str, named_parts(parts))) for language, parts in sorted(text.items())
        }

    def _read_to_derive(self, settings: Mapping[str, Any]) -> Any:
        return dict(settings)

    def _read_in_training(self, variant: Variant, pair: Pair) -> Any:
        switching, tlm = variant.pretraining.code_switching, variant.pretraining.tlm
        return list(pair) if switching or tlm else None

    def _parallel(self, pair: Pair) -> Any:
        return list(pair)

    def _gold(self, part: str, pair: Pair) -> Any:
        return [part, *pair]

    def _read_by(
        self, stage: str, two: Pair, text: Mapping[str, LanguageText], settings: Mapping[str, Any]
    ) -> Any:
        return [stage, *two]
