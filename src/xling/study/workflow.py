"""Runs a study's plan with Snakemake and shows how far it is."""

import fcntl
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from importlib.resources import as_file, files
from pathlib import Path

from xling.errors import XlingError
from xling.study.plan import DONE, Plan
from xling.study.status import Status, failure, job_statuses, log_file, status_text

_LOCK = ".lock"
_POLL_SECONDS = 0.5
_STOP_SECONDS = 10.0
# What Snakemake says of a job that it would run.
_OUTPUT = re.compile(r"^ +output: (.+)$", re.MULTILINE)


@contextmanager
def exclusive(folder: Path) -> Iterator[int]:
    """Hold a study's folder against a second runner; yield the lock's file descriptor.

    The lock dies with the last process that has the descriptor.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise XlingError(
            f"{folder}: is a file or lies below one; name a folder with --out"
        ) from None
    with open(folder / _LOCK, "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise XlingError(
                f"{folder}: this study is being run already; wait for it or stop it first"
            ) from None
        yield lock.fileno()


def is_active(folder: Path) -> bool:
    """Tell whether somebody runs the study now."""
    try:
        with open(folder / _LOCK) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def run_workflow(folder: Path, plan: Plan, jobs: int, lock: int) -> bool:
    """Run whatever of the plan is not done on ``jobs`` cores; tell whether all succeeded.

    A job that fails does not stop those that do not need it; the end of its log is shown.

    Args:
        folder: The study's folder.
        plan: Its plan.
        jobs: Cores.
        lock: Of :func:`exclusive`; handed on, so that a workflow that outlives us (because we
            were killed) keeps the folder.
    """
    _clear(folder, plan)
    log_path = folder / "logs" / "workflow.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with open(log_path, "a", encoding="utf-8") as log, _snakefile() as snakefile:
        process = subprocess.Popen(
            _command(folder, snakefile, jobs, ["--keep-going"]),
            stdout=log,
            stderr=log,
            pass_fds=[lock],
        )
        try:
            _watch(process, folder, plan)
        finally:
            _stop(process)
    return process.returncode == 0


def dry_run(folder: Path, jobs: int) -> list[str]:
    """Return the jobs that would run, by their folders, in order; the report last."""
    with _snakefile() as snakefile:
        result = subprocess.run(
            _command(folder, snakefile, jobs, ["--dry-run"]),
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise XlingError(
            f"{folder}: the workflow cannot be planned:\n{result.stdout}{result.stderr}"
        )
    outputs = _OUTPUT.findall(result.stdout + result.stderr)
    return [output.removesuffix(f"/{DONE}") for output in outputs]


def _clear(folder: Path, plan: Plan) -> None:
    """Remove what killed stages left: temporary folders, and logs of jobs that start again."""
    for job in plan.jobs:
        if not (folder / job.output).is_file():
            log_file(folder, job).unlink(missing_ok=True)
    for parent in {(folder / job.folder).parent for job in plan.jobs}:
        for path in [*parent.glob(".*.tmp"), *parent.glob(".*.old")]:
            shutil.rmtree(path, ignore_errors=True)


def _watch(process: "subprocess.Popen[bytes]", folder: Path, plan: Plan) -> None:
    """Show how far the jobs are until the workflow ends; say each end of a job once."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    said = {s.job.folder for s in job_statuses(folder, plan.jobs, True) if s.state == "done"}
    live = Live(console=console, auto_refresh=False, transient=True)
    with live if console.is_terminal else nullcontext():
        while True:
            over = process.poll() is not None
            statuses = job_statuses(folder, plan.jobs, not over)
            for status in statuses:
                name = status.job.folder
                if status.state in ("done", "failed") and name not in said:
                    said.add(name)
                    console.print(_ended(folder, status, len(said), len(plan.jobs)))
            if over:
                return
            if console.is_terminal:
                live.update(Text(status_text(statuses)), refresh=True)
            time.sleep(_POLL_SECONDS)


def _ended(folder: Path, status: Status, number: int, total: int) -> str:
    if status.state == "failed":
        return failure(folder, status.job)
    return f"[{number}/{total}] {status.job.folder}"


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the workflow and its jobs; every stage may be killed at any moment."""
    if process.poll() is not None:
        return
    import psutil

    jobs: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):  # Ctrl-C reaches all of them, ours may end by itself
        workflow = psutil.Process(process.pid)
        workflow.suspend()  # so that it starts nothing in the place of what is ended
        jobs = workflow.children(recursive=True)
        workflow.kill()
    for job in jobs:
        with suppress(psutil.NoSuchProcess):
            job.kill()
    psutil.wait_procs(jobs, timeout=_STOP_SECONDS)
    process.wait()


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
        # The default solves an integer programme whenever a job ends, which takes a quarter of a
        # core with some hundred jobs ready.
        "--scheduler",
        "greedy",
        *more,
    ]


@contextmanager
def _snakefile() -> Iterator[Path]:
    with as_file(files("xling.study") / "Snakefile") as path:
        yield path
