"""What one variant gets wrong in each language, from the files of its predictions."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xling import formatting
from xling.data.conllu import Tree, read_conllu
from xling.data.iob2 import read_iob2
from xling.data.layout import DataFolder
from xling.data.tables import read_nli, read_topics
from xling.errors import XlingError
from xling.names import pair_languages
from xling.report.tables import Cell, Table, figure, reference
from xling.results import SCORES
from xling.transfer.config import PARTS
from xling.transfer.predictions import (
    attachment_by_arc_length,
    attachment_by_relation,
    attachment_by_sentence_length,
    label_confusion,
    relation_confusion,
    span_errors,
)
from xling.transfer.spans import repair

_PREDICTIONS = "predictions"
_MOST_ROWS = 15
_NAMES = {"uas": "UAS", "las": "LAS"}
Row = dict[str, object]


@dataclass(frozen=True)
class TaskJob:
    """One task of one run.

    Attributes:
        task: Which task, e.g. ``"ner"``.
        variant: Variant of the run.
        pair: Pair of the run.
        seed: Seed of the run.
        folder: Where its scores, settings and predictions lie, or would.
        data: The data folder that it read.
    """

    task: str
    variant: str
    pair: str
    seed: int
    folder: Path
    data: Path


def error_tables(jobs: Sequence[TaskJob], variants: Sequence[str]) -> tuple[list[Table], list[str]]:
    """Return tables of errors for every pair and language, of one variant and its first seed.

    Predictions are of the best setting (`transfer.experiment`).

    Args:
        jobs: Jobs of one task.
        variants: In the study's order; ``default``, or else the first, is shown.

    Returns:
        The tables, and a sentence for each language whose predictions are missing or do not fit
        their gold. A job without scores gets no sentence: the page says elsewhere that it has none.
    """
    chosen: dict[str, TaskJob] = {}
    base = reference(variants)
    for job in sorted(jobs, key=lambda job: job.seed):
        if job.variant == base:
            chosen.setdefault(job.pair, job)
    tables: list[Table] = []
    missing: list[str] = []
    for job in chosen.values():
        if (job.folder / SCORES).is_file():
            for language in pair_languages(job.pair):
                where = f"{job.variant}, {job.pair}, {language}, seed {job.seed}"
                rows, fault = _of_language(job, language)
                tables += [
                    _table(f"{what}: {where}", found) for what, found in rows.items() if found
                ]
                missing += [f"{where}: no table of errors in {job.task}: {fault}."] if fault else []
    return tables, missing


def _of_language(job: TaskJob, language: str) -> tuple[dict[str, list[Row]], str]:
    """Return rows of errors by title of their table, or why there are none."""
    folder = job.folder / _PREDICTIONS / job.task
    found = [path for path in sorted(folder.glob(f"{language}.*")) if path.is_file()]
    if not found:
        return {}, f"{folder.name}/{language}.* is not among its predictions"
    try:
        return _compared(job, language, found[0]), ""
    except (XlingError, OSError, UnicodeDecodeError) as error:
        return {}, str(error)


def _compared(job: TaskJob, language: str, path: Path) -> dict[str, list[Row]]:
    part = PARTS[job.task]  # type: ignore[index]
    gold = DataFolder(job.data).task(part, language, "test")
    if job.task == "parsing":
        return _parsing(list(read_conllu(gold)), list(read_conllu(path)))
    if job.task == "ner":
        right = [tags for _, tags in DataFolder(job.data).ner(language, "test")]
        guess = [repair(found.tags) for found in read_iob2(path)]
        return {"What became of entities": span_errors(right, guess)[:_MOST_ROWS]}
    read: Callable[[Path], Iterable[tuple[str, ...]]] = (
        read_nli if job.task == "nli" else read_topics
    )
    column = 2 if job.task == "nli" else 1
    labels = ([row[column] for row in read(file)] for file in (gold, path))
    return {"Labels confused": _wrong(label_confusion(*labels))}


def _parsing(gold: list[Tree], guess: list[Tree]) -> dict[str, list[Row]]:
    return {
        "Attachment by relation": attachment_by_relation(gold, guess)[:_MOST_ROWS],
        "Attachment by sentence length": attachment_by_sentence_length(gold, guess),
        "Attachment by distance of the head": attachment_by_arc_length(gold, guess),
        "Relations confused where the head is right": _wrong(relation_confusion(gold, guess)),
    }


def _wrong(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["gold"] != row["predicted"]][:_MOST_ROWS]


def _table(caption: str, rows: list[Row]) -> Table:
    columns = list(rows[0])
    return Table(
        caption,
        tuple(_NAMES.get(name, name) for name in columns),
        1,
        tuple(tuple(_cell(name, row[name]) for name in columns) for row in rows),
    )


def _cell(name: str, value: object) -> Cell:
    if value is None or isinstance(value, str):
        return Cell(value or "none")
    return figure(value, "{:.1%}" if name in ("share", *_NAMES) else formatting.count)
