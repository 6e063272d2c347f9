"""Runs a study's plan with Snakemake and shows its progress."""

import importlib.util
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path

import psutil

from xling.artefact import altered_files
from xling.errors import XlingError
from xling.study.fork_server import FORK_SERVER
from xling.study.inputs import PLAN
from xling.study.job import log_file, record_file
from xling.study.lock import StudyLock, identify, is_held
from xling.study.plan import DONE, Plan
from xling.study.resources import Resources
from xling.study.results import DESCRIPTION
from xling.study.slurm import EXECUTOR, Node, QueueWatch, lacks_accounting, largest_node
from xling.study.status import Status, failure, job_statuses, last_lines, status_text
from xling.study.stopping import signals_held, stop_marked, stop_workflow

REPORT = "report.html"
_REPORTED = ".report"  # the workflow's mark, which it may delete at any time
_POLL_SECONDS = 0.5
_LATENCY_SECONDS = 60
_REMOTE_JOBS = 100
_BUILT_IN = ("local", "dryrun", "touch")
_MIB = 2**20
_NO_ROOM = 1 << 16
# The last line of a stage, or of Python's own traceback, that says what was wrong with a file.
_FAULT = re.compile(r"^\s*(error: |\w*Error: \[Errno )")
_log = logging.getLogger(__name__)
# What Snakemake says of a job that it would run.
_OUTPUT = re.compile(r"^ +output: (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Execution:
    """Where and how Snakemake runs jobs.

    Attributes:
        jobs: Cores on this machine, or jobs at a time elsewhere; None means all cores here, and
            elsewhere what the profile says, or 100.
        executor: Snakemake's executor; None for this machine.
        profile: Snakemake's profile, by name or folder.
        options: Further options of Snakemake's.
    """

    jobs: int | None = None
    executor: str | None = None
    profile: str | None = None
    options: tuple[str, ...] = ()

    @property
    def remote(self) -> bool:
        """Whether jobs run elsewhere, or may, as a profile decides."""
        return self.executor not in (None, *_BUILT_IN) or self.profile is not None

    @property
    def slots(self) -> int | None:
        """How many jobs run at a time, or cores; None if the profile decides."""
        if self.jobs is not None or self.profile is not None:
            return self.jobs
        return _REMOTE_JOBS if self.remote else os.cpu_count() or 1

    @property
    def node(self) -> Node | None:
        """The most that a node of the cluster has; None if unknown or without a cluster."""
        asks = self.executor == EXECUTOR or (self.executor is None and self.profile is not None)
        return largest_node(self.options) if asks else None

    def check(self) -> None:
        """Refuse an executor that is not installed, and arguments that are not options.

        Raises:
            XlingError: what to install, or to write.
        """
        if self.options and not self.options[0].startswith("-"):
            raise XlingError(
                f"{self.options[0]}: not an option; what follows `--` goes to Snakemake, e.g. "
                "`-- --default-resources slurm_partition=gpu`"
            )
        if self.executor in (None, *_BUILT_IN):
            return
        module = f"snakemake_executor_plugin_{self.executor}".replace("-", "_")
        if importlib.util.find_spec(module) is None:
            package = (
                "'xling[slurm]'"
                if self.executor == "slurm"
                else f"snakemake-executor-plugin-{self.executor}"
            )
            raise XlingError(
                f"--executor {self.executor}: Snakemake has no such plugin here; "
                f"pip install {package}"
            )

    def arguments(self, resources: Mapping[str, Resources]) -> list[str]:
        """Return Snakemake's options."""
        found = [] if self.slots is None else ["--jobs", str(self.slots)]
        if self.executor:
            found += ["--executor", self.executor]
        if self.profile:
            found += ["--profile", self.profile]
        if self.remote:
            # Files that a node has written may appear here late. Only missing ones are waited for.
            found += ["--latency-wait", str(_LATENCY_SECONDS)]
            if self.executor == EXECUTOR and lacks_accounting():
                found += [
                    option
                    for name, *value in (
                        ("--slurm-status-command", "squeue"),
                        ("--slurm-no-account",),
                    )
                    if name not in self.options
                    for option in (name, *value)
                ]
        else:
            # GPUs are not assigned to jobs on this machine: jobs that want any run one at a time.
            gpus = max((job.gpus for job in resources.values()), default=0)
            memory = psutil.virtual_memory().total // _MIB
            found += ["--resources", f"mem_mb={memory}", f"gpu={gpus}"]
        return [*found, *self.options]


def run_workflow(
    folder: Path,
    plan: Plan,
    resources: Mapping[str, Resources],
    execution: Execution,
    lock: StudyLock,
) -> bool:
    """Run the pending jobs of the plan; tell whether all succeeded.

    A job that fails does not stop those that do not need it; the end of its log is shown.

    Args:
        folder: The study's folder.
        plan: Its plan.
        resources: What each job asks for, by its folder.
        execution: Where jobs run.
        lock: The folder's lock; handed on, so that a workflow keeps the folder if it outlives this
            process (because that was killed).

    Raises:
        XlingError: Snakemake stopped for a reason of its own.
    """
    _clear(folder, plan)
    _settle_times(folder, plan, lock)
    log_path = folder / "logs" / "workflow.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with (
        open(log_path, "a", encoding="utf-8") as log,
        _snakefile() as snakefile,
        tempfile.TemporaryDirectory(prefix="xling-") as sockets,
    ):
        # Every process of this run has it in its environment; jobs elsewhere start cold.
        said = log_path.stat().st_size
        mark = f"{sockets}/jobs"
        server = {} if execution.remote else {FORK_SERVER: mark}
        process: subprocess.Popen[bytes] | None = None
        try:
            with signals_held() as let_through:
                process = subprocess.Popen(
                    _command(folder, snakefile, ["--keep-going", *execution.arguments(resources)]),
                    stdout=log,
                    stderr=log,
                    env=os.environ | server,
                    pass_fds=[lock.file.fileno()],
                    # A terminal's Ctrl-C is for this process only. It then has a remote workflow
                    # withdraw its queued jobs, by a signal of its own that works even where a
                    # process in the background ignores Ctrl-C.
                    start_new_session=execution.remote,
                    preexec_fn=partial(_start, let_through, execution.remote),
                )
            lock.note(
                workflow=identify(process.pid), slots=execution.slots, remote=execution.remote
            )
            waiting = (
                QueueWatch(folder, plan.jobs, resources, execution.node)
                if execution.remote
                else None
            )
            statuses = _watch(process, folder, plan, waiting)
        finally:
            if process is not None:
                if process.poll() is None:
                    stop_workflow(psutil.Process(process.pid), execution.remote)
                    process.wait()
                if process.returncode < 0 and not execution.remote:
                    stop_marked(FORK_SERVER, mark)
    if process.returncode and not any(status.state == "failed" for status in statuses):
        raise XlingError(_why_stopped(folder, log_path, said, statuses))
    return process.returncode == 0


def _why_stopped(folder: Path, log: Path, said: int, statuses: Sequence[Status]) -> str:
    """Return why the workflow stopped though no job's log says that it failed.

    Args:
        folder: The study's folder.
        log: The workflow's log.
        said: How long the log was before this run.
        statuses: Statuses of all jobs.
    """
    report = log_file(folder, "report")
    if all(status.state == "done" for status in statuses) and report.is_file():
        log, said = report, 0
    with open(log, encoding="utf-8", errors="replace") as file:
        file.seek(said)
        faults = [line.strip() for line in file if _FAULT.match(line)]
    if faults:
        return f"{folder}: the workflow stopped ({log}): {faults[-1]}"
    if shutil.disk_usage(folder).free < _NO_ROOM:
        return f"{folder}: the workflow stopped ({log}): no room left on its disk"
    lines = "\n".join(f"  {line}" for line in last_lines(log))
    return f"{folder}: the workflow stopped ({log}):\n{lines}"


def dry_run(folder: Path) -> list[str]:
    """Return the jobs that would run, by their folders, in order; the report last."""
    with _snakefile() as snakefile:
        result = subprocess.run(
            _command(folder, snakefile, ["--dry-run"]),
            capture_output=True,
            text=True,
            check=False,
        )
    if result.returncode:
        raise XlingError(
            f"{folder}: the workflow cannot be planned:\n{result.stdout}{result.stderr}"
        )
    outputs = _OUTPUT.findall(result.stdout + result.stderr)
    return [
        REPORT if output == _REPORTED else output.removesuffix(f"/{DONE}") for output in outputs
    ]


def forget_report(folder: Path) -> None:
    """Have the report made again, whatever else there is to do."""
    (folder / _REPORTED).unlink(missing_ok=True)


def _settle_times(folder: Path, plan: Plan, lock: StudyLock) -> None:
    """Set times in the future, written by a machine whose clock is ahead, to now.

    Snakemake treats an output older than its inputs as out of date, and deletes it if it is still
    older once it has been made.
    """
    lock.note()
    now = os.fstat(lock.file.fileno()).st_mtime_ns  # by the file system's clock
    settings = (folder / "settings" / f"{job.folder}.yaml" for job in plan.jobs)
    marks = (folder / job.output for job in plan.jobs)
    for path in (folder / PLAN, folder / DESCRIPTION, folder / _REPORTED, *settings, *marks):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime_ns > now:
                os.utime(path, ns=(now, now))


def _clear(folder: Path, plan: Plan) -> None:
    """Remove what killed stages left: temporary folders, and logs of jobs that start again.

    A job whose output was altered since it was written starts again too. A job that still runs,
    left behind by a workflow that was killed, keeps its own.
    """
    parents = {(folder / job.folder).parent for job in plan.jobs}
    for job in plan.jobs:
        if is_held(record_file(folder, job.folder)):
            parents.discard((folder / job.folder).parent)
            continue
        for path in altered_files(folder / job.folder):
            _log.warning("%s: was altered since it was written; it is made again", path)
            (folder / job.output).unlink(missing_ok=True)
        if not (folder / job.output).is_file():
            log_file(folder, job.folder).unlink(missing_ok=True)
    for parent in parents:
        for path in [*parent.glob(".*.tmp"), *parent.glob(".*.old")]:
            shutil.rmtree(path, ignore_errors=True)


def _watch(
    process: "subprocess.Popen[bytes]", folder: Path, plan: Plan, waiting: QueueWatch | None
) -> list[Status]:
    """Show the jobs' progress until the workflow ends; report each end of a job once.

    With a queue that can be asked, also say why jobs wait in it.
    """
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    statuses = job_statuses(folder, plan.jobs, True)
    said = {status.job.folder for status in statuses if status.state == "done"}
    live = Live(console=console, auto_refresh=False, transient=True)
    with live if console.is_terminal else nullcontext():
        while True:
            over = process.poll() is not None
            statuses = job_statuses(folder, plan.jobs, not over, statuses)
            for status in statuses:
                name = status.job.folder
                if status.state in ("done", "failed") and name not in said:
                    said.add(name)
                    console.print(_ended(folder, status, len(said), len(plan.jobs)))
            if over:
                return statuses
            for line in waiting.news() if waiting else ():
                console.print(line)
            if console.is_terminal:
                lines = [status_text(folder, statuses), *(waiting.text if waiting else ())]
                live.update(Text("\n".join(lines)), refresh=True)
            time.sleep(_POLL_SECONDS)


def _ended(folder: Path, status: Status, number: int, total: int) -> str:
    if status.state == "failed":
        return failure(folder, status.job)
    return f"[{number}/{total}] {status.job.folder}"


def _start(let_through: Callable[[], None], remote: bool) -> None:
    if remote:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    let_through()


def _command(folder: Path, snakefile: Path, more: Sequence[str]) -> list[str]:
    return [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        str(snakefile),
        "--directory",
        str(folder),
        "--rerun-triggers",
        "mtime",
        "--rerun-incomplete",
        # The study has its own lock, which ends with its holder.
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
