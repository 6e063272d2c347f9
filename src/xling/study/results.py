"""All scores of a study in one tidy table, and what the report must know beside it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.artefact import check_file, versions
from xling.csv_tables import Number, read_table, write_table
from xling.files import atomic_file, write_if_changed
from xling.names import pair_name
from xling.similarity.stage import EMERGENCE, SCORES
from xling.study.config import StudyConfig
from xling.study.plan import Plan

if TYPE_CHECKING:
    import pandas as pd

RESULTS = "results.csv"
DESCRIPTION = "study.json"
_NUMBERS: dict[str, Number] = {"layer": "Int64", "step": "Int64", "value": "float64"}
COLUMNS = ["variant", "pair", "seed", "probe", "dataset", "language", "layer", "metric", "value"]


def collect_results(folder: Path, plan: dict[str, Any]) -> None:
    """Write ``results.csv`` and ``emergence.csv`` from the probes and tasks that are done.

    ``results.csv`` has the columns study, variant, pair, seed, probe, dataset, language, layer,
    metric, value; ``emergence.csv`` has also step (after seed), with the probes of the weights that
    runs kept on the way. It is not written if no run kept any.

    Args:
        folder: The study's folder.
        plan: Content of its ``plan.json``.
    """
    _collect(folder, plan, SCORES, COLUMNS).pipe(_write, folder / RESULTS)
    emergence = _collect(folder, plan, EMERGENCE, [*COLUMNS[:3], "step", *COLUMNS[3:]])
    if len(emergence):
        _write(emergence, folder / EMERGENCE)
    else:
        (folder / EMERGENCE).unlink(missing_ok=True)


def _collect(folder: Path, plan: dict[str, Any], name: str, columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    frames = []
    measured = ((run, job) for run in plan["runs"] for job in run["scores"])
    for run, job in measured:
        path = folder / job / name
        if path.is_file():
            check_file(path)
            frame = read_table(path, _NUMBERS)
            for place, column in enumerate(("variant", "pair", "seed")):
                frame.insert(place, column, run[column])
            frames.append(frame)
    table = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)
    table["layer"] = table["layer"].astype("Int64")
    table.insert(0, "study", plan["study"])
    return table


def _write(table: "pd.DataFrame", path: Path) -> None:
    with atomic_file(path) as file:
        write_table(table, file)


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
