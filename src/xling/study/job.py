"""Runs one job of a study, one at a time per folder, and keeps its log and its duration.

``python -m xling.study.job FOLDER PROCESSES THREADS`` in a study's folder, whose plan says which
verb that is and what it reads: no shell sees the names of a user's files and languages. A job that
was left running when its workflow was killed, here or on a cluster's node, keeps its lock: the same
job started again waits for it, and then finds the work done or resumes it.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from xling.errors import XlingError
from xling.files import JsonObject, disk_fault
from xling.study.fork_server import run_in_fork
from xling.study.inputs import PLAN, check_agreement, check_files

_FAULT = 2  # the exit status of what a user can fix
_SIGNALLED = 128  # a shell's exit status after a signal, minus the signal's number


def log_file(study: Path, job: str) -> Path:
    """Return the path of a job's log, by the job's folder in the study's."""
    return study / "logs" / f"{job}.log"


def record_file(study: Path, job: str) -> Path:
    """Return the file that a job holds while it runs, and leaves its duration in."""
    return study / "logs" / f"{job}.json"


def read_time(study: Path, job: str) -> tuple[float | None, float | None]:
    """Return when a job was started last (seconds since 1970) and how long it took, if known."""
    try:
        record = json.loads(record_file(study, job).read_text(encoding="utf-8"))
        return record["started"], record["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def verb_of(job: str, plan: JsonObject, threads: int) -> list[str]:
    """Return the verb that does a job, and its arguments.

    Args:
        job: The job's folder in the study's, where its output goes.
        plan: Content of the study's ``plan.json``.
        threads: Cores of the job.
    """
    stage, parents = plan["jobs"][job]["stage"], plan["jobs"][job]["parents"]
    settings = f"settings/{job}.yaml"
    config = ["--config", settings]
    data = plan["data"]
    out = ["--out", job]
    if stage == "data":
        return ["data", "conlang", settings, *out, "--workers", str(threads)]
    if stage == "prepare":
        # One language of the data; or the output of all languages' jobs, put together.
        parts = [folder for kind, folder in parents.items() if kind != "data"]
        language = ["--languages", job.split("/")[-1].rpartition("-")[0]]
        chosen = parts or [parents.get("data") or plan["given"], *language]
        return ["data", "prepare", *chosen, *out, *config, "--workers", str(threads)]
    if stage == "derive":
        return ["data", "derive", parents.get("data") or plan["given"], *out, *config]
    if stage == "vocabulary":
        return ["vocabulary", data, *out, *config]
    if stage == "tokens":
        entries = ["--vocabulary", parents["vocabulary"], "--workers", str(threads)]
        return ["tokens", data, *entries, *out, *config]
    out += ["--data", data, *config]
    if stage == "pretrain":
        return ["pretrain", parents["tokens"], "--vocabulary", parents["vocabulary"], *out]
    model = f"{parents['pretrain']}/model"
    if stage in ("probe", "transfer"):
        return [stage, model, *out]
    one, other = (f"{model}/{code}" for code in plan["jobs"][job]["settings"]["languages"])
    # What aligns and compares a model's languages: `align words` and so on, or `similarity`.
    return [*stage.split("-"), one, other, *out]


def run_job(job: str, processes: int, verb: Sequence[str]) -> int:
    """Run a verb in the current folder, a study's; return its exit status.

    Args:
        job: The job's folder.
        processes: torchrun starts more than one, one for each of the job's GPUs.
        verb: The verb and its arguments.
    """
    with _held(Path(), job) as record, open(log_file(Path(), job), "wb") as log:
        started, (_, before) = time.time(), read_time(Path(), job)
        _write(record, started, None)
        status = _run_on_planned_data(verb, processes, job, log, record)
        if status == 0:
            # If a job finds its work done, or half done, its time says little.
            _write(record, started, max(time.time() - started, before or 0))
    return status if status >= 0 else _SIGNALLED - status


def _run_on_planned_data(
    verb: Sequence[str], processes: int, job: str, log: IO[bytes], record: IO[str]
) -> int:
    """Run a verb if its data is what the study was planned on, and stays so; else it fails."""
    try:
        check_files(Path(), job)
        status = run_in_fork(verb, log, record) if _is_small(processes) else None
        if status is None:
            status = _run_cold(verb, processes, log, record)
        if status == 0:
            _check_what_was_read(job)
    except XlingError as error:
        log.seek(0, os.SEEK_END)
        log.write(f"error: {error}\n".encode())
        return _FAULT
    return status


def _check_what_was_read(job: str) -> None:
    try:
        check_files(Path(), job)
    except XlingError:
        # Part of the output may come from the old file, or have the name for the old file.
        shutil.rmtree(job, ignore_errors=True)
        raise
    check_agreement(Path(), job)


def _is_small(processes: int) -> bool:
    return processes <= 1 and os.environ.get("OMP_NUM_THREADS") == "1"


def _run_cold(verb: Sequence[str], processes: int, log: IO[bytes], record: IO[str]) -> int:
    torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m")
    command = [sys.executable, "-m", *(torchrun if processes > 1 else ()), "xling", *verb]
    return subprocess.run(
        command, stdout=log, stderr=log, pass_fds=[record.fileno()], check=False
    ).returncode


@contextmanager
def _held(study: Path, job: str) -> Iterator[IO[str]]:
    path = record_file(study, job)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as record:
        try:
            fcntl.flock(record, fcntl.LOCK_EX)
        except OSError as error:
            sys.exit(f"{path}: its file system has no locks ({error}), which keep two runs apart")
        yield record


def _write(record: IO[str], started: float, seconds: float | None) -> None:
    record.truncate(0)
    json.dump({"started": started, "seconds": seconds}, record)
    record.flush()


if __name__ == "__main__":
    folder, processes, threads = sys.argv[1:]
    try:
        plan = json.loads(Path(PLAN).read_text(encoding="utf-8"))
        sys.exit(run_job(folder, int(processes), verb_of(folder, plan, int(threads))))
    except OSError as fault:  # of its own files: a full or read-only folder
        sys.exit(f"error: {disk_fault(fault, folder)}")
