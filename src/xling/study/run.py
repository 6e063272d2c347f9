"""The verb ``study run``: from a study file to a report."""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

import yaml

from xling import __version__
from xling.errors import XlingError, need_extra
from xling.files import JsonObject, disk_fault, only_writer, read_json, write_if_changed
from xling.names import pair_name
from xling.results import RESULTS
from xling.study.config import StudyConfig
from xling.study.inputs import PLAN
from xling.study.lock import LOCK, exclusive, is_active, read_runner
from xling.study.plan import Job, Plan, Planner, plan_as_json
from xling.study.resources import Resources, job_resources
from xling.study.results import (
    DESCRIPTION,
    collect_results,
    describe_study,
    jobs_of_other_versions,
)
from xling.study.slurm import hindrances, largest_node, queue, queue_text, unfit
from xling.study.status import failure, job_statuses, status_text
from xling.study.workflow import REPORT, Execution, dry_run, forget_report, run_workflow


def run_study(path: Path, data: Path | None, out: Path, execution: Execution, dry: bool) -> None:
    """Run the pending jobs of a study, then write its table and its report.

    Args:
        path: The study file.
        data: The data folder; None for a study that makes its own.
        out: The study's folder; continued if it holds this study already.
        execution: Where and how jobs run.
        dry: Only list the jobs.

    Raises:
        XlingError: a fault in the study or the data, a folder of another study, a missing extra,
            or jobs that failed (after everything else was done and reported).
    """
    need_extra("study", "xling study run")
    study = StudyConfig.load(path, data)
    _check_data(study, data)
    execution.check()
    plan = Planner(study, data).plan()
    node = execution.node
    resources = job_resources(plan.jobs, study.resources, node.cores if node else None)
    for line in unfit(resources, node):
        print(f"warning: {line}", file=sys.stderr)
    with _in_one_line(out), exclusive(out, take_over=not dry) as lock:
        _claim(out, study)
        _write_plan(out, plan, resources, study)
        describe_study(out, study, plan, study.model_dump(mode="json"))
        for line in jobs_of_other_versions(out, (job.folder for job in plan.jobs)):
            print(f"warning: {out}: {line}", file=sys.stderr)
        if not all((out / name).is_file() for name in (REPORT, RESULTS)):
            forget_report(out)
        if dry:
            print("\n".join(dry_run(out)) or "nothing to do")
            return
        if not run_workflow(out, plan, resources, execution, lock):
            raise XlingError(
                f"{out}: not everything succeeded (see above and {out / 'logs'}); "
                f"{_report_what_is_there(out)}. Fix the cause and run the same command again to "
                "continue"
            )
    print(out / REPORT)


def show_status(out: Path) -> None:
    """Print how far a study is: jobs done, running, failed and pending.

    Raises:
        XlingError: the folder holds no study, or one that this version cannot read.
    """
    jobs, asked = _planned_jobs(out)
    active, runner = is_active(out), read_runner(out)
    statuses = job_statuses(out, jobs, active)
    print(status_text(out, statuses))
    if active and runner is not None and runner.remote:
        queued = queue(out, jobs)
        hindered = hindrances(queued, asked, largest_node())
        print("".join(f"{line}\n" for line in (*queue_text(queued), *hindered.values())), end="")
    for status in statuses:
        if status.state == "failed":
            print(failure(out, status.job))


def _planned_jobs(out: Path) -> tuple[list[Job], dict[str, Resources]]:
    """Return the jobs of a study's folder, and what each asks for."""
    names = {item.name for item in fields(Job)}
    try:
        written = _read_plan(out)["jobs"]
        jobs = [
            Job(**{key: value for key, value in job.items() if key in names})
            for job in written.values()
        ]
        return jobs, {folder: Resources.from_json(job) for folder, job in written.items()}
    except (AttributeError, TypeError, KeyError):
        raise _of_another_version(out) from None


def make_report(out: Path) -> Path:
    """Write ``results.csv`` and ``report.html`` of a study from the jobs that are done.

    Raises:
        XlingError: the extra report is missing, or the folder holds no study.
    """
    need_extra("report", "xling report")
    from xling.report.page import render_report

    plan = _read_plan(out)
    with _in_one_line(out), only_writer(out / REPORT):
        collect_results(out, plan)
        return render_report(out)


def _report_what_is_there(out: Path) -> str:
    try:
        return f"the results so far are in {make_report(out)}"
    except XlingError as error:
        return f"and no report could be written ({error})"


@contextmanager
def _in_one_line(out: Path) -> Iterator[None]:
    """Name the file that cannot be written if a folder is full or read-only."""
    try:
        yield
    except OSError as error:
        raise XlingError(
            f"{disk_fault(error, out)}; a study needs a folder that can be written and has room: "
            "fix that, or name another with --out"
        ) from None


def _read_plan(out: Path) -> JsonObject:
    path = out / PLAN
    if not path.is_file():
        raise XlingError(
            f"{out}: holds no study; expected a folder that `xling study run` has written"
        )
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise XlingError(
            f"{path}: damaged ({error}); `xling study run` with the study's file writes it again"
        ) from None
    if not isinstance(plan, dict) or not {"study", "jobs", "runs"} <= plan.keys():
        raise _of_another_version(out)
    return plan


def _of_another_version(out: Path) -> XlingError:
    return XlingError(
        f"{out / PLAN}: not a plan as xling {__version__} writes it; `xling study run` with the "
        "study's file writes it again, or use the version that wrote this folder"
    )


def _check_data(study: StudyConfig, data: Path | None) -> None:
    if study.world is None and data is None:
        raise XlingError(f"study {study.name} brings no data of its own: give it with --data")
    if study.world is not None and data is not None:
        raise XlingError(f"study {study.name} makes its own data: leave --data out")


def _claim(out: Path, study: StudyConfig) -> None:
    """Refuse a folder that holds something other than this study."""
    records = [out / name for name in (PLAN, DESCRIPTION) if (out / name).exists()]
    if not records:
        # Files of a study, even if its run was killed while it wrote the first one.
        ours = (LOCK, f".{PLAN}.")
        strangers = sorted(p.name for p in out.iterdir() if not p.name.startswith(ours))
        if strangers:
            raise XlingError(
                f"{out}: not empty (it holds {strangers[0]}) and no study of xling; choose "
                "another folder with --out"
            )
        return
    found = _name_in(out)
    if found is None:
        raise XlingError(
            f"{records[0]}: damaged, so that nothing says which study this folder holds; delete "
            f"the folder, or choose another with --out. To continue with {study.name!r} here if "
            f'you are sure, write {{"study": "{study.name}"}} into that file'
        )
    if found != study.name:
        raise XlingError(
            f"{out}: holds the study {found!r}, not {study.name!r}; choose another folder with "
            "--out, or delete this one if you do not need it"
        )


def _name_in(out: Path) -> str | None:
    """Return the study's name from whichever of its two records can be read; None if neither."""
    for record, key in ((PLAN, "study"), (DESCRIPTION, "name")):
        with suppress(XlingError):
            found = read_json(out / record)
            if isinstance(found, dict) and isinstance(found.get(key), str):
                return str(found[key])
    return None


def _write_plan(
    out: Path, plan: Plan, resources: Mapping[str, Resources], study: StudyConfig
) -> None:
    written = plan_as_json(plan)
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
        "files": written["files"],
        "jobs": {
            folder: {**job, **resources[folder].as_json()}
            for folder, job in written["jobs"].items()
        },
    }
    write_if_changed(out / PLAN, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    for job in plan.jobs:
        settings = yaml.safe_dump(dict(job.settings), allow_unicode=True, sort_keys=False)
        write_if_changed(out / "settings" / f"{job.folder}.yaml", settings)
