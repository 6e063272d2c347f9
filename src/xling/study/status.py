"""How far each job of a study is, read from the files that its stages write."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from xling.study.plan import Job

State = Literal["done", "running", "failed", "left"]
STATES: tuple[State, ...] = ("done", "running", "failed", "left")
_FAILURE = "exit status "
_TAIL_BYTES = 8192
_LOG_LINES = 8


@dataclass(frozen=True)
class Status:
    """One job's state.

    Attributes:
        job: The job.
        state: ``left`` if it has not been started, or was interrupted.
        progress: For a training run its step, speed and time left; else empty.
    """

    job: Job
    state: State
    progress: str = ""


def log_file(folder: Path, job: Job) -> Path:
    """Return where what a job says is kept."""
    return folder / "logs" / job.stage / f"{job.name}.log"


def job_statuses(folder: Path, jobs: Sequence[Job], active: bool) -> list[Status]:
    """Return how far each job is.

    Args:
        folder: The study's folder.
        jobs: Its jobs.
        active: Whether the study is being run; if not, no job is running.
    """
    return [_status(folder, job, active) for job in jobs]


def _status(folder: Path, job: Job, active: bool) -> Status:
    if (folder / job.output).is_file():
        return Status(job, "done")
    log = log_file(folder, job)
    if not log.is_file():
        return Status(job, "left")
    if any(line.startswith(_FAILURE) for line in _tail(log)[-1:]):
        return Status(job, "failed")
    return Status(job, "running" if active else "left", _training_progress(folder, job))


def status_text(statuses: Sequence[Status]) -> str:
    """Return ``3 done, 1 running, 0 failed, 4 left`` and a line for each that runs or failed."""
    number = Counter(status.state for status in statuses)
    lines = [", ".join(f"{number[state]} {state}" for state in STATES)]
    for status in statuses:
        if status.state in ("running", "failed") or status.progress:
            lines.append(f"{status.state}: {status.job.folder}  {status.progress}".rstrip())
    return "\n".join(lines)


def failure(folder: Path, job: Job) -> str:
    """Return a failed job's folder, the end of its log, and where the rest is."""
    log = log_file(folder, job)
    lines = "\n".join(f"  {line}" for line in _tail(log)[-_LOG_LINES:])
    return f"failed: {job.folder} ({log})\n{lines}"


def _training_progress(folder: Path, job: Job) -> str:
    """Return ``step 300/4,000, 25,000 tokens/s, 0:12:05 left`` from a run's own log."""
    if job.stage != "pretrain":
        return ""
    training = job.settings["pretraining"]
    for line in reversed(_tail(folder / job.folder / "log.jsonl")):
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # the line that is being written, or the cut end of one
        if entry.get("kind") == "train":
            step, rate = entry["step"], entry["tokens_per_second"]
            seconds = (training["steps"] - step) * training["rows"] * training["length"] / rate
            left = timedelta(seconds=round(seconds))
            return f"step {step:,}/{training['steps']:,}, {rate:,.0f} tokens/s, {left} left"
    return f"step 0/{training['steps']:,}"


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file, however long it is; none if there is no file."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
