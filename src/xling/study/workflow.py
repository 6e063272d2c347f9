"""Runs a study's plan with Snakemake and shows how far it is."""

import fcntl
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from xling.errors import XlingError
from xling.study.plan import Job, Plan

_LOG_LINES = 8
_POLL_SECONDS = 1.0


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold a study's folder against a second runner; a killed one leaves no lock behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise XlingError(
                f"{folder}: this study is being run already; wait for it or stop it first"
            ) from None
        yield


def run_workflow(folder: Path, plan: Plan, jobs: int) -> bool:
    """Run whatever of the plan is not done on ``jobs`` cores; tell whether all succeeded.

    A job that fails does not stop those that do not need it; its last log lines are shown.
    """
    before = {job.folder for job in plan.jobs if is_done(folder, job)}
    log_path = folder / "logs" / "workflow.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "a", encoding="utf-8") as log, _snakefile() as snakefile:
        # A session of its own, so that Ctrl-C reaches it once: from us.
        process = subprocess.Popen(
            _command(folder, snakefile, jobs, ["--keep-going"]), stdout=log, stderr=log
        )
        try:
            _watch(process, folder, plan, before)
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise
    for job in failed_jobs(folder, plan):
        print(f"failed: {job.folder}\n{_last_lines(log_file(folder, job))}", file=sys.stderr)
    return process.returncode == 0


def dry_run(folder: Path, jobs: int) -> str:
    """Return what Snakemake would do, as it says it."""
    with _snakefile() as snakefile:
        result = subprocess.run(
            _command(folder, snakefile, jobs, ["--dry-run", "--quiet", "rules"]),
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise XlingError(f"{folder}: the workflow cannot be planned:\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def is_done(folder: Path, job: Job) -> bool:
    """Tell whether a job's output is there."""
    return (folder / job.output).is_file()


def failed_jobs(folder: Path, plan: Plan) -> list[Job]:
    """Return jobs that were started, have ended, and have no output."""
    return [
        job for job in plan.jobs if not is_done(folder, job) and log_file(folder, job).is_file()
    ]


def log_file(folder: Path, job: Job) -> Path:
    """Return where a job's output on the terminal is kept."""
    return folder / "logs" / job.stage / f"{job.name}.log"


def _watch(process: "subprocess.Popen[bytes]", folder: Path, plan: Plan, before: set[str]) -> None:
    """Show each job as it is done until the workflow ends."""
    from xling.progress import bar

    seen = set(before)
    with bar("Study", len(plan.jobs), "jobs", done=len(before)) as advance:
        while True:
            ended = process.poll() is not None
            for job in plan.jobs:
                if job.folder not in seen and is_done(folder, job):
                    seen.add(job.folder)
                    advance(1, f"Study (done: {job.folder})")
                    _say(f"[{len(seen)}/{len(plan.jobs)}] {job.folder}")
            if ended:
                return
            time.sleep(_POLL_SECONDS)


def _say(line: str) -> None:
    if not sys.stderr.isatty():
        print(line, file=sys.stderr, flush=True)


def _command(folder: Path, snakefile: Path, jobs: int, more: Sequence[str]) -> list[str]:
    return [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(snakefile),
        "--directory",
        str(folder),
        "--cores",
        str(jobs),
        "--rerun-triggers",
        "mtime",
        "--rerun-incomplete",
        # We hold a lock of our own, which dies with its holder.
        "--nolock",
        *more,
    ]


@contextmanager
def _snakefile() -> Iterator[Path]:
    with as_file(files("xling.study") / "Snakefile") as path:
        yield path


def _last_lines(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-_LOG_LINES:])
