"""All scores of a study in one table, and what the report must know beside it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.artefact import check_file, versions
from xling.files import write_if_changed
from xling.names import pair_name
from xling.results import EMERGENCE, OF_RUN, RESULTS, SCORES, joined, read_scores, write_scores
from xling.study.config import StudyConfig
from xling.study.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION = "study.json"


def collect_results(folder: Path, plan: dict[str, Any]) -> None:
    """Write ``results.csv`` and ``emergence.csv`` from the probes and tasks that are done.

    ``results.csv`` has the columns study, variant, pair and seed and those of a table of scores
    (`xling.results`); ``emergence.csv`` has also step (after seed), with the probes of the weights
    that runs kept on the way. It is not written if no run kept any.

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


def _collected(
    folder: Path, plan: dict[str, Any], name: str, front: Sequence[str] = ()
) -> "pd.DataFrame":
    tables = []
    for run in plan["runs"]:
        of_run = {key: run[key] for key in OF_RUN[1:]} | {"study": plan["study"]}
        for path in (folder / job / name for job in run["scores"]):
            if path.is_file():
                check_file(path)
                tables.append((of_run, read_scores(path, front)))
    return joined(tables)


def describe_study(folder: Path, study: StudyConfig, plan: Plan, config: dict[str, Any]) -> None:
    """Write ``study.json``: configuration, versions and where each run lies."""
    content = {
        "name": study.name,
        "title": study.title,
        "description": study.description,
        "config": config,
        "versions": versions(),
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
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_if_changed(folder / DESCRIPTION, text)
