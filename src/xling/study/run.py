"""The verb ``study run``: from a study file to a report."""

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from xling.errors import XlingError
from xling.files import read_json, write_if_changed
from xling.names import pair_name
from xling.study.config import StudyConfig
from xling.study.lock import exclusive, is_active
from xling.study.plan import Job, Plan, Planner, plan_as_json
from xling.study.resources import Resources, job_resources
from xling.study.results import collect_results, describe_study
from xling.study.status import failure, job_statuses, status_text
from xling.study.workflow import Execution, dry_run, run_workflow

_PLAN = "plan.json"
_REPORT = "report.html"


def run_study(path: Path, data: Path | None, out: Path, execution: Execution, dry: bool) -> None:
    """Run what is not done yet of a study, then write its table and its report.

    Args:
        path: The study file.
        data: The data folder; None for a study that makes its own.
        out: The study's folder; continued if it holds this study already.
        execution: Where and how jobs run.
        dry: Only say what would run.

    Raises:
        XlingError: a fault in the study or the data, a folder of another study, or jobs
            that failed (after everything else was done and reported).
    """
    study = StudyConfig.load(path, data)
    _check_data(study, data)
    execution.check()
    plan = Planner(study, data).plan()
    resources = job_resources(plan.jobs, study.resources)
    with exclusive(out, take_over=not dry) as lock:
        _claim(out, study)
        _write_plan(out, plan, resources, study)
        describe_study(out, study, plan, study.model_dump(mode="json"))
        if dry:
            print("\n".join(dry_run(out)) or "nothing to do")
            return
        if not run_workflow(out, plan, resources, execution, lock):
            raise XlingError(
                f"{out}: not everything succeeded (see above and {out / 'logs'}); what is there is "
                f"reported in {make_report(out)}. Mend the cause and run the same command again "
                "to continue"
            )
    print(out / _REPORT)


def show_status(out: Path) -> None:
    """Print how far a study is: jobs done, running, failed and left.

    Raises:
        XlingError: the folder holds no study.
    """
    names = {item.name for item in fields(Job)}
    jobs = [
        Job(**{key: value for key, value in job.items() if key in names})
        for job in _read_plan(out)["jobs"].values()
    ]
    statuses = job_statuses(out, jobs, is_active(out))
    print(status_text(out, statuses))
    for status in statuses:
        if status.state == "failed":
            print(failure(out, status.job))


def make_report(out: Path) -> Path:
    """Write ``results.csv`` and ``report.html`` of a study from the jobs that are done."""
    from xling.report.page import render_report

    plan = _read_plan(out)
    collect_results(out, plan)
    return render_report(out)


def _read_plan(out: Path) -> dict[str, Any]:
    if not (out / _PLAN).is_file():
        raise XlingError(
            f"{out}: holds no study; expected a folder that `xling study run` has written"
        )
    plan: dict[str, Any] = read_json(out / _PLAN)
    return plan


def _check_data(study: StudyConfig, data: Path | None) -> None:
    if study.world is None and data is None:
        raise XlingError(f"study {study.name} brings no data of its own: give it with --data")
    if study.world is not None and data is not None:
        raise XlingError(f"study {study.name} makes its own data: leave --data out")


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


def _write_plan(
    out: Path, plan: Plan, resources: Mapping[str, Resources], study: StudyConfig
) -> None:
    jobs = plan_as_json(plan)["jobs"]
    content = {
        "study": study.name,
        "data": plan.data,
        "given": plan.given,
        "runs": [
            {
                "variant": run.variant,
                "pair": pair_name(run.pair),
                "seed": run.seed,
                "scores": [job.folder for job in run.scores],
            }
            for run in plan.runs
        ],
        "jobs": {folder: {**job, **resources[folder].as_json()} for folder, job in jobs.items()},
    }
    write_if_changed(out / _PLAN, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for job in plan.jobs:
        settings = yaml.safe_dump(dict(job.settings), allow_unicode=True, sort_keys=False)
        write_if_changed(out / "settings" / f"{job.folder}.yaml", settings)
