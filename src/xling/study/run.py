"""The verb ``study run``: from a study file to a report."""

import json
from pathlib import Path
from typing import Any

import yaml

from xling.errors import XlingError
from xling.files import atomic_file, read_json, write_json
from xling.study.config import StudyConfig
from xling.study.plan import Plan, Planner, plan_as_json
from xling.study.results import collect_results, describe_study
from xling.study.workflow import dry_run, exclusive, run_workflow

_PLAN = "plan.json"
_WORLD_DATA = "data"


def run_study(path: Path, data: Path | None, out: Path, jobs: int, dry: bool) -> None:
    """Run what is not done yet of a study, then write its table and its report.

    Args:
        path: The study file.
        data: The data folder; None for a study that makes its own.
        out: The study's folder; continued if it holds this study already.
        jobs: Cores to use.
        dry: Only say what would run.

    Raises:
        XlingError: a fault in the study or the data, a folder of another study, or jobs
            that failed (after everything else was done and reported).
    """
    study = StudyConfig.load(path)
    source = _data_folder(study, data, out)
    plan = Planner(study, source).plan()
    with exclusive(out):
        _claim(out, study)
        _write_plan(out, plan, study, source)
        if dry:
            print(dry_run(out, jobs))
            return
        describe_study(out, study, plan, study.model_dump(mode="json"))
        whole = run_workflow(out, plan, jobs)
        if not whole:
            make_report(out)
            raise XlingError(
                f"{out}: not everything succeeded (see above and {out / 'logs'}); the report shows "
                "what is there. Mend the cause and run the same command again to continue"
            )


def make_report(out: Path) -> Path:
    """Write ``results.csv`` and ``report.html`` of a study from the jobs that are done."""
    from xling.report.page import render_report

    plan = read_json(out / _PLAN)
    collect_results(out, plan)
    return render_report(out)


def _data_folder(study: StudyConfig, data: Path | None, out: Path) -> Path:
    if study.world is None and data is None:
        raise XlingError(f"study {study.name} brings no data of its own: give it with --data")
    if study.world is not None and data is not None:
        raise XlingError(f"study {study.name} makes its own data: leave --data out")
    return (data or out / _WORLD_DATA).resolve()


def _claim(out: Path, study: StudyConfig) -> None:
    """Refuse a folder that holds something other than this study."""
    if not (out / _PLAN).exists():
        strangers = sorted(p.name for p in out.iterdir() if p.name != ".lock")
        if strangers:
            raise XlingError(
                f"{out}: not empty (it holds {strangers[0]}) and no study of xling; choose "
                "another folder with --out"
            )
        return
    found = read_json(out / _PLAN).get("study")
    if found != study.name:
        raise XlingError(
            f"{out}: holds the study {found!r}, not {study.name!r}; choose another folder with "
            "--out, or delete this one if you do not need it"
        )


def _write_plan(out: Path, plan: Plan, study: StudyConfig, data: Path) -> None:
    content = {
        "study": study.name,
        "data": str(data),
        "world": str(study.world.resolve()) if study.world else None,
        "runs": [
            {
                "variant": run.variant,
                "pair": "-".join(run.pair),
                "seed": run.seed,
                "probe": run.probe.folder,
            }
            for run in plan.runs
        ],
        **plan_as_json(plan),
    }
    if not (out / _PLAN).exists() or read_json(out / _PLAN) != json.loads(json.dumps(content)):
        write_json(out / _PLAN, content)
    for job in plan.jobs:
        _write_if_changed(out / "settings" / f"{job.folder}.yaml", dict(job.settings))


def _write_if_changed(path: Path, settings: dict[str, Any]) -> None:
    """Keep the time of an unchanged file: Snakemake runs again what is older than its input."""
    text = yaml.safe_dump(settings, allow_unicode=True, sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        with atomic_file(path) as file:
            file.write(text)
