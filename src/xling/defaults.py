"""Defaults of a verb's settings that neither its options nor its settings file give.

The functions make defaults for :func:`xling.settings.load_settings`, which asks for one only if the
setting is not given. What was chosen from names or data is logged in one line.
"""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from xling.data.layout import TASK_ENDINGS, DataFolder
from xling.data.selection import count_lines
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.settings import Default, Given

logger = logging.getLogger(__name__)

_STUDY = "real-mini"  # the shipped study on real text that suits a core or two
_TRAIN = "train"
_SOURCE = "en"


def small_settings(*sections: str) -> dict[str, object]:
    """Return sections of the settings of the shipped study on real text for a few cores."""
    from xling.study.config import StudyConfig
    from xling.study.shipped import find_study

    study = StudyConfig.load(find_study(Path(_STUDY)))
    return {section: dict(getattr(study, section)) for section in sections}


def text(
    data: Path,
    languages: Sequence[str] | None,
    domains: Sequence[str] | None,
    vocabulary: Path | None = None,
) -> Default:
    """Make the default of ``text``: all domains of all languages.

    Args:
        data: The data folder.
        languages: Which languages; if None, those that the settings name, or those of the
            vocabulary, or else all with text.
        domains: Which domains; all if None.
        vocabulary: Folder of a vocabulary, if there is one.
    """

    def choose(given: Given) -> dict[str, list[str]]:
        folder = DataFolder(data)
        asked = languages or _named(given)
        if not asked and vocabulary is not None:
            asked = _of_vocabulary(vocabulary)
        found = {
            language: list(domains or folder.domains(language))
            for language in asked or folder.languages
        }
        return found if asked else {language: parts for language, parts in found.items() if parts}

    return choose


def languages_of_vocabulary(folder: Path) -> Default:
    """Make the default of ``languages``: those of a vocabulary, in its order."""
    return lambda _: _of_vocabulary(folder)


def _of_vocabulary(folder: Path) -> list[str]:
    from xling.vocabulary.vocabulary import Vocabulary

    return list(Vocabulary.load(folder).languages)


def languages_to_probe(model: str, data: Path) -> Default:
    """Make the default of ``languages``: the family's, or those of the data's parallel sets."""

    def choose(_: Given) -> list[str]:
        folder = DataFolder(data)
        parallel = _parallel_languages(folder)
        found = _of_family(model) or [code for code in _languages(folder) if code in parallel]
        if len(found) < 2:
            raise XlingError(
                f"{folder.root / 'parallel'}: no set with two languages; probes need "
                "parallel/NAME/LANG.txt in both languages of a pair"
            )
        return _said("languages", found)

    return choose


def languages_of_models(one: Path, other: Path, data: Path) -> Default:
    """Make the default of ``languages``: for each model, the language that its folder names.

    That is the whole name, or one part of it between ``-``, ``_`` or dots: ``en``, ``bert-fr``.
    """

    def choose(_: Given) -> list[str]:
        there = _languages(DataFolder(data))
        return _said("languages", [_language_in(model, there) for model in (one, other)])

    return choose


def _language_in(model: Path, languages: Sequence[str]) -> str:
    name = model.resolve().name if model.name in ("", "..") else model.name
    parts = [name] if name in languages else re.split(r"[-_.]", name)
    found = [language for language in languages if language in parts]
    if len(found) == 1:
        return found[0]
    raise XlingError(
        f"{model}: its name says no language of the data ({', '.join(languages)}); say "
        "--languages ONE,OTHER"
    )


def training_set(data: Path) -> Default:
    """Make the default of ``train``: the parallel set called train, or the one with most lines."""

    def choose(given: Given) -> str:
        folder, languages = DataFolder(data), _named(given)
        if not languages:
            return _TRAIN  # the check of the settings refuses the languages
        sets = folder.parallel_sets(*languages)
        if not sets:
            raise XlingError(
                f"{folder.root / 'parallel'}: no set with {' and '.join(languages)}; a map is "
                "learnt from parallel/NAME/LANG.txt in both languages"
            )
        scored = given.get("test")
        free = [name for name in sets if not isinstance(scored, list) or name not in scored]
        if _TRAIN in free:
            return _TRAIN

        def lines(name: str) -> int:
            path = plain_or_gzipped(folder.root / "parallel" / name / f"{languages[0]}.txt")
            return count_lines(path) if path else 0

        return _said("train", [max(free or sets, key=lines)])[0]

    return choose


def transfer_languages(model: str, data: Path) -> dict[str, Default]:
    """Make the defaults of ``task``, ``source`` and ``targets``.

    The source is English if it can be trained on, or else the first language that can; the targets
    are all others with a test set. Of a family only its own languages count.
    """

    def languages(given: Given, split: str) -> list[str]:
        from xling.transfer.config import PARTS

        part = {str(task): part for task, part in PARTS.items()}.get(str(given["task"]))
        if part is None:
            return []  # the check of the settings refuses the task
        folder = DataFolder(data)
        own = _of_family(model) or list(
            dict.fromkeys([*folder.languages, *folder.task_languages(part)])
        )
        found = [code for code in own if split in folder.splits(part, code)]
        if not found:
            raise XlingError(
                f"{folder.root / part}: no {split} set of {', '.join(own)}; expected "
                f"{part}/LANG/{split}{TASK_ENDINGS[part]} (or .gz)"
            )
        return found

    def source(given: Given) -> str:
        found = languages(given, "train")
        return _said("source", [_SOURCE if _SOURCE in found else next(iter(found), _SOURCE)])[0]

    def targets(given: Given) -> list[str]:
        found = [code for code in languages(given, "test") if code != given["source"]]
        return _said("targets", found)

    return {"task": no_task, "source": source, "targets": targets}


def no_task(_: Given) -> NoReturn:
    """Refuse to choose a task.

    Raises:
        XlingError: always.
    """
    raise XlingError("no task given; say --task nli, ner, parsing or topics")


def nothing_derived(_: Given) -> NoReturn:
    """Refuse to choose languages to derive.

    Raises:
        XlingError: always.
    """
    raise XlingError("no language to derive; say --copies LANG, --inverted LANG, or both")


def derived(
    copies: Sequence[str] | None, inverted: Sequence[str] | None
) -> dict[str, dict[str, str]] | None:
    """Return the languages that options ask to derive, named as in studies; None for none.

    Args:
        copies: Languages to copy.
        inverted: Languages to write with the words of each line in reverse order.
    """
    from xling.study.config import derived_language

    asked = [(code, "same") for code in copies or ()]
    asked += [(code, "inverted") for code in inverted or ()]
    made = {derived_language(code, how): {"of": code, "how": how} for code, how in asked}
    return made or None


def _languages(folder: DataFolder) -> list[str]:
    """Return the languages that data.yaml lists; without it, those with text or parallel lines."""
    if (folder.root / "data.yaml").exists():
        return list(folder.languages)
    return list(dict.fromkeys([*folder.languages, *sorted(_parallel_languages(folder))]))


def _parallel_languages(folder: DataFolder) -> set[str]:
    sets = [folder.set_languages("parallel", name) for name in folder.parallel_sets()]
    return {code for codes in sets if len(codes) > 1 for code in codes}


def _named(given: Given) -> list[str]:
    """Return the languages that settings name; none if what they name is no list of codes."""
    languages = given.get("languages")
    if isinstance(languages, list | tuple) and all(isinstance(code, str) for code in languages):
        return list(languages)
    return []


def _of_family(model: str) -> list[str]:
    from xling.encoders.encoders import is_family
    from xling.model.storage import family_languages

    return family_languages(Path(model)) if is_family(model) else []


def _said(setting: str, chosen: list[str]) -> list[str]:
    """Say what was chosen."""
    logger.info("%s: %s", setting, ", ".join(chosen) or "none")
    return chosen
