"""All scores of a study in one table, and what else the report must know."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xling.artefact import (
    check_file,
    other_versions,
    read_record,
    recorded_versions,
    versions,
)
from xling.data.lines import counted
from xling.files import JsonObject, read_json, write_if_changed
from xling.names import pair_name
from xling.results import EMERGENCE, OF_RUN, RESULTS, SCORES, joined, read_scores, write_scores
from xling.study.config import StudyConfig
from xling.study.job import read_time
from xling.study.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION = "study.json"


def collect_results(folder: Path, plan: JsonObject) -> None:
    """Write ``results.csv`` and ``emergence.csv`` from the probes and tasks that are done.

    ``study.json`` then has the versions that computed them, and how long each job took.

    ``results.csv`` has the columns study, variant, pair and seed and those of a table of scores
    (`xling.results`); ``emergence.csv`` has also step (after seed), with the probes of snapshots of
    the weights. It is not written if no run kept any.

    Args:
        folder: The study's folder.
        plan: Content of its ``plan.json``.
    """
    write_scores(_collected(folder, plan, SCORES), folder / RESULTS)
    emergence = _collected(folder, plan, EMERGENCE, ("step",))
    if len(emergence):
        write_scores(emergence, folder / EMERGENCE)
    else:
        (folder / EMERGENCE).unlink(missing_ok=True)
    if (folder / DESCRIPTION).is_file():
        content = read_json(folder / DESCRIPTION)
        _write_description(folder, content | _records(folder, plan["runs"], plan.get("jobs", ())))


def _collected(
    folder: Path, plan: JsonObject, name: str, front: Sequence[str] = ()
) -> "pd.DataFrame":
    tables = []
    for run in plan["runs"]:
        of_run = {key: run[key] for key in OF_RUN[1:]} | {"study": plan["study"]}
        for path in (folder / job / name for job in run["scores"]):
            if path.is_file():
                check_file(path)
                tables.append((of_run, read_scores(path, front)))
    return joined(tables)


def describe_study(folder: Path, study: StudyConfig, plan: Plan, config: dict[str, object]) -> None:
    """Write ``study.json``: configuration, versions and where each run lies."""
    content: JsonObject = {
        "name": study.name,
        "title": study.title,
        "description": study.description,
        "config": config,
        "runs": [
            {
                "variant": run.variant,
                "pair": pair_name(run.pair),
                "languages": list(run.pair),
                "seed": run.seed,
                "folder": run.pretrain.folder,
                "tokens": run.tokens.folder,
                "scores": [job.folder for job in run.scores],
            }
            for run in plan.runs
        ],
    }
    jobs = [job.folder for job in plan.jobs]
    _write_description(folder, content | _records(folder, content["runs"], jobs))


def _records(folder: Path, runs: Iterable[JsonObject], jobs: Iterable[str]) -> JsonObject:
    """Return what finished jobs recorded: the versions of packages, and seconds by job."""
    times = {job: read_time(folder, job)[1] for job in jobs}
    return {
        "versions": _versions(folder, (job for run in runs for job in run["scores"])),
        "seconds": {job: seconds for job, seconds in times.items() if seconds is not None},
    }


def _write_description(folder: Path, content: dict[str, object]) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_if_changed(folder / DESCRIPTION, text)


def _versions(folder: Path, jobs: Iterable[str]) -> dict[str, str]:
    """Return the versions that computed the scores of jobs, or today's if there are none.

    Where a package had several, all are named.
    """
    found: dict[str, set[str]] = {}
    for job in jobs:
        for package, version in recorded_versions(read_record(folder / job)).items():
            found.setdefault(package, set()).add(version)
    return {name: ", ".join(sorted(some)) for name, some in found.items()} or versions()


def jobs_of_other_versions(folder: Path, jobs: Iterable[str]) -> list[str]:
    """Say how many finished jobs were computed with other versions of packages."""
    found = Counter(
        ", ".join(other) for job in jobs if (other := other_versions(read_record(folder / job)))
    )
    return [
        f"{counted(number, 'finished job')} computed with {other}: kept; delete a job's folder to "
        "compute it again"
        for other, number in found.items()
    ]
