"""How far each job of a study is, read from the files that its stages write."""

import json
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from xling.study.job import log_file, read_time, record_file
from xling.study.lock import is_held, read_runner
from xling.study.plan import Job
from xling.study.time_left import Timing, describe_time_left

State = Literal["done", "running", "failed", "pending"]
STATES: tuple[State, ...] = ("done", "running", "failed", "pending")
_FAILURE = "exit status "
_TAIL_BYTES = 8192
_LOG_LINES = 8
_LINE_LENGTH = 300


@dataclass(frozen=True)
class Status:
    """One job's state.

    Attributes:
        job: The job.
        state: ``pending`` if it has not been started, or was interrupted.
        progress: For a training run its step, speed and time left; else empty.
        seconds: How long it took, if it is done, or has run; None if unknown.
        seconds_left: What a training run says itself; None of others.
    """

    job: Job
    state: State
    progress: str = ""
    seconds: float | None = None
    seconds_left: float | None = None


def job_statuses(
    folder: Path, jobs: Sequence[Job], active: bool, before: Sequence[Status] = ()
) -> list[Status]:
    """Return how far each job is.

    Args:
        folder: The study's folder.
        jobs: Its jobs.
        active: Whether the study is being run; if not, only what was left behind is running.
        before: What was returned a moment ago: jobs that were done are not looked at again.
    """
    done = {status.job.folder: status for status in before if status.state == "done"}
    return [done.get(job.folder) or _status(folder, job, active) for job in jobs]


def _status(folder: Path, job: Job, active: bool) -> Status:
    if (folder / job.output).is_file():
        return Status(job, "done", seconds=read_time(folder, job.folder)[1])
    log = log_file(folder, job.folder)
    if not log.is_file():
        return Status(job, "pending")
    if is_held(record_file(folder, job.folder)):
        started = read_time(folder, job.folder)[0]
        elapsed = max(0.0, time.time() - started) if started else None
        return Status(job, "running", *_training_progress(folder, job, elapsed))
    if any(line.startswith(_FAILURE) for line in _tail(log)[-1:]):
        return Status(job, "failed")
    # Between the end of its work and Snakemake's note of it, a job holds nothing.
    state: State = "running" if active else "pending"
    return Status(job, state, _training_progress(folder, job, None)[0])


def status_text(folder: Path, statuses: Sequence[Status]) -> str:
    """Return how many jobs are done, by stage, what runs or failed, and the time left."""
    number = Counter(status.state for status in statuses)
    lines = [", ".join(f"{number[state]} {state}" for state in STATES)]
    lines += _stages(statuses)
    for status in statuses:
        if status.state in ("running", "failed") or status.progress:
            lines.append(f"{status.state}: {status.job.folder}  {status.progress}".rstrip())
    timings = [Timing(s.job, s.state, s.seconds, s.seconds_left) for s in statuses]
    return "\n".join([*lines, *describe_time_left(timings, read_runner(folder))])


def _stages(statuses: Sequence[Status]) -> list[str]:
    """Return one line per stage, with its states."""
    stages = list(dict.fromkeys(status.job.stage for status in statuses))
    width = max(map(len, stages), default=0)
    lines = []
    for stage in stages:
        number = Counter(status.state for status in statuses if status.job.stage == stage)
        states = ", ".join(f"{number[state]} {state}" for state in STATES if number[state])
        lines.append(f"  {stage:{width}}  {states}")
    return lines


def failure(folder: Path, job: Job) -> str:
    """Return a failed job's folder, the end of its log, and where the rest is."""
    log = log_file(folder, job.folder)
    lines = "\n".join(f"  {line}" for line in last_lines(log))
    return f"failed: {job.folder} ({log})\n{lines}"


def last_lines(log: Path) -> list[str]:
    """Return the last lines of a log, long ones cut."""
    return [line[:_LINE_LENGTH] for line in _tail(log)[-_LOG_LINES:]]


def _training_progress(
    folder: Path, job: Job, elapsed: float | None
) -> tuple[str, float | None, float | None]:
    """Return what a run's own log says of its progress, how long it runs, and the seconds left.

    The first is like ``step 300/4,000, 25,000 tokens/s, 0:12:05 left``. Of other jobs only how
    long they run is known.
    """
    if job.stage != "pretrain":
        ran = "" if elapsed is None else f"for {timedelta(seconds=round(elapsed))}"
        return ran, elapsed, None
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
            text = f"step {step:,}/{training['steps']:,}, {rate:,.0f} tokens/s, {left} left"
            return text, elapsed, seconds
    return f"step 0/{training['steps']:,}", elapsed, None


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file, however long it is; none if there is no file."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
