"""The jobs of a study that fine-tune and test, as ``plan.json`` names them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xling.errors import XlingError
from xling.files import read_json

_PLAN = "plan.json"
_STAGE = "transfer/"


@dataclass(frozen=True)
class TaskJob:
    """One task of one run.

    Attributes:
        task: Which task, e.g. ``"ner"``.
        variant: Of the run.
        pair: Of the run.
        seed: Of the run.
        folder: Where its scores, settings and predictions lie, or would.
        settings: What it was told.
        data: The data folder that it read.
    """

    task: str
    variant: str
    pair: str
    seed: int
    folder: Path
    settings: dict[str, Any]
    data: Path


def planned_jobs(folder: Path) -> list[TaskJob]:
    """Return the jobs of tasks in the study's order; none without a plan.

    Raises:
        XlingError: ``plan.json`` is there, but is not what a study writes.
    """
    path = folder / _PLAN
    if not path.is_file():
        return []
    plan = read_json(path)
    try:
        return [
            TaskJob(
                task=str(plan["jobs"][job]["settings"]["task"]),
                variant=str(run["variant"]),
                pair=str(run["pair"]),
                seed=int(run["seed"]),
                folder=folder / job,
                settings=plan["jobs"][job]["settings"],
                data=folder / plan["data"],
            )
            for run in plan["runs"]
            for job in run["scores"]
            if job.startswith(_STAGE)
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise XlingError(
            f"{path}: not a plan as `xling study run` writes it ({error!r}); run the study again"
        ) from None
