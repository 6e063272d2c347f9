"""What the page shows of each task: scores, settings tried, errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.csv_tables import read_table
from xling.errors import XlingError
from xling.report.error_pages import TaskJob, error_pages, planned_jobs
from xling.report.load import Study
from xling.report.tables import Cell, Table, figure
from xling.report.transfer_scores import TASK_NAMES, task_names, task_tables, transfer_scores
from xling.results import DEV, TRAINED, UNTRAINED, unpacked_name

if TYPE_CHECKING:
    import pandas as pd

_SETTINGS = "settings.csv"


@dataclass(frozen=True)
class TaskPage:
    """A task's part of the page.

    Attributes:
        name: The heading.
        tables: Scores, the chief metric first.
        details: Tables for those who look closer, each folded.
        missing: What could not be shown, in sentences.
    """

    name: str
    tables: tuple[Table, ...]
    details: tuple[Table, ...]
    missing: tuple[str, ...]


def task_pages(study: Study) -> list[TaskPage]:
    """Gather what there is of every task that has scores."""
    scores = transfer_scores(study.results)
    jobs = planned_jobs(study.folder)
    pages = []
    for task in task_names(scores):
        of_task = [job for job in jobs if job.task == task]
        tables = task_tables(scores, task, study.variants, study.pairs)
        settings = settings_table(of_task, TASK_NAMES.get(task, task))
        errors, missing = error_pages(of_task, study.variants)
        details = (*errors, *([settings] if settings else []))
        name = TASK_NAMES.get(task, task)
        pages.append(TaskPage(name, tuple(tables), details, tuple(missing)))
    return pages


def missing_tasks(study: Study) -> list[str]:
    """Say which tasks of which runs were planned and have no scores."""
    scores = transfer_scores(study.results)
    found = set(zip(scores["task"], scores["variant"], scores["pair"], scores["seed"], strict=True))
    return [
        f"{job.variant}, {job.pair}, seed {job.seed}: no scores of the task {job.task}."
        for job in planned_jobs(study.folder)
        if (job.task, job.variant, job.pair, job.seed) not in found
    ]


def settings_table(jobs: Sequence[TaskJob], name: str) -> Table | None:
    """Every setting tried with its score on the source's dev; None if no job tells."""
    rows: list[tuple[Cell, ...]] = []
    for job in jobs:
        frame = _settings(job)
        if frame is None:
            continue
        rows += [
            _setting(job, row) for row in frame.to_dict("records") if row["condition"].endswith(DEV)
        ]
    if not rows:
        return None
    columns = (
        *("variant", "pair", "seed", "trained on", "encoder", "layer", "batch", "encoder rate"),
        *("head rate", "epochs", "best epoch", "dev score", "chosen"),
    )
    return Table(
        f"{name}: settings tried",
        columns,
        3,
        tuple(rows),
        note=(
            "Each setting is judged by its best epoch on the dev data of the language it was "
            "trained on; only those chosen were tested, and their mean is what the tables hold."
        ),
    )


def _settings(job: TaskJob) -> "pd.DataFrame | None":
    """Read what a job tried; None if it is not there or not readable."""
    path = job.folder / _SETTINGS
    try:
        frame = read_table(path)
    except XlingError:
        return None
    if not {"condition", "metric", "value", "selected", "language"} <= set(frame.columns):
        return None
    # Earlier versions wrote conditions before the metric, too.
    packed = frame["condition"] + ":" + frame["metric"]
    return frame.assign(condition=[unpacked_name(name.strip(":"))[0] for name in packed])


def _setting(job: TaskJob, row: dict[Any, Any]) -> tuple[Cell, ...]:
    def plain(name: str) -> Cell:
        return Cell(str(row.get(name, "")) or "–", "number")

    return (
        Cell(job.variant),
        Cell(job.pair),
        Cell(str(job.seed)),
        Cell(str(row["language"])),
        Cell(UNTRAINED if row["condition"].startswith(UNTRAINED) else TRAINED),
        *(plain(key) for key in ("layer", "batch_size", "encoder_rate", "head_rate")),
        plain("epochs"),
        plain("best_epoch"),
        figure(_number(row["value"]), formatting.score),
        Cell("yes" if row["selected"] == "True" else ""),
    )


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
