"""How far each job of a study is, and how much longer the study will take."""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Literal

from xling.study.job import log_file, read_time, record_file
from xling.study.lock import Runner, is_held, read_runner
from xling.study.plan import Job

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
        seconds: How long it took, or has run so far; None if unknown.
        seconds_left: What a training run's log says; None for other jobs.
        progress: For a training run its step, speed and time left; else empty.
    """

    job: Job
    state: State
    seconds: float | None = None
    seconds_left: float | None = None
    progress: str = ""

    @property
    def whole(self) -> float | None:
        """How long the job takes in all, as far as it is known."""
        if self.state == "done":
            return self.seconds
        if self.seconds is None or self.seconds_left is None:
            return None
        return self.seconds + self.seconds_left


def job_statuses(
    folder: Path, jobs: Sequence[Job], active: bool, before: Sequence[Status] = ()
) -> list[Status]:
    """Return how far each job is.

    Args:
        folder: The study's folder.
        jobs: Its jobs.
        active: Whether the study is being run; if not, only jobs that were left behind can run.
        before: The previous result: jobs that were done are not looked at again.
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
        return Status(job, "running", elapsed, *_training_progress(folder, job, elapsed))
    if any(line.startswith(_FAILURE) for line in _tail(log)[-1:]):
        return Status(job, "failed")
    # A job has no lock between the end of its work and Snakemake's note of it.
    state: State = "running" if active else "pending"
    return Status(job, state, progress=_training_progress(folder, job, None)[1])


def status_text(folder: Path, statuses: Sequence[Status]) -> str:
    """Return how many jobs are done, by stage, what runs or failed, and the time left."""
    number = Counter(status.state for status in statuses)
    lines = [", ".join(f"{number[state]} {state}" for state in STATES)]
    lines += _stages(statuses)
    for status in statuses:
        if status.state in ("running", "failed") or status.progress:
            lines.append(f"{status.state}: {status.job.folder}  {status.progress}".rstrip())
    return "\n".join([*lines, *describe_time_left(statuses, read_runner(folder))])


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


def _training_progress(folder: Path, job: Job, elapsed: float | None) -> tuple[float | None, str]:
    """Return the seconds left that a training run's log says, and its progress in words.

    E.g. ``step 300/4,000, 25,000 tokens/s, 0:12:05 left``. For other jobs, only how long they have
    run is known.
    """
    if job.stage != "pretrain":
        return None, "" if elapsed is None else f"for {timedelta(seconds=round(elapsed))}"
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
            return seconds, text
    return None, f"step 0/{training['steps']:,}"


def _tail(path: Path) -> list[str]:
    """Return the last lines of a file, however long it is; none if there is no file."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []


@dataclass(frozen=True)
class TimeLeft:
    """An estimate and what it rests on.

    Attributes:
        seconds: Until everything that is left is done.
        known: For each stage, how many jobs the time of one job is known from.
        unknown: For each stage without such a job, how many jobs are left out.
    """

    seconds: float
    known: Mapping[str, int]
    unknown: Mapping[str, int]


def time_left(timings: Sequence[Status], slots: int, cores: bool) -> TimeLeft:
    """Estimate how much longer a study will take.

    A job is expected to take the median time of its stage, a training run in
    proportion to its tokens. Jobs share the slots evenly, except that no job starts before the
    chain of jobs that it depends on is done.

    Args:
        timings: Statuses of all jobs, parents before children.
        slots: How many cores, or jobs, there are at a time.
        cores: Whether slots are cores, of which a job takes as many as its threads.
    """
    rates = _rates(timings)
    remaining: dict[str, float] = {}
    unknown = dict.fromkeys(rates, 0)
    work = longest = 0.0
    for timing in timings:
        job = timing.job
        before = max((remaining.get(parent, 0.0) for parent in job.parents.values()), default=0.0)
        own = _remaining(timing, rates)
        if own is None:
            unknown[job.stage] = unknown.get(job.stage, 0) + 1
            own = 0.0
        work += own * (min(job.threads, slots) if cores else 1)
        remaining[job.folder] = before + own
        longest = max(longest, before + own)
    known = {
        stage: sum(t.whole is not None for t in timings if t.job.stage == stage) for stage in rates
    }
    return TimeLeft(
        max(longest, work / slots), known, {stage: n for stage, n in unknown.items() if n}
    )


def _rates(timings: Sequence[Status]) -> dict[str, float]:
    """Return the seconds that a unit of a stage's work takes."""
    found: dict[str, list[float]] = {}
    for timing in timings:
        if timing.whole is not None:
            found.setdefault(timing.job.stage, []).append(timing.whole / _size(timing.job))
    return {stage: median(rates) for stage, rates in found.items()}


def _size(job: Job) -> float:
    """Return how much a job does, to compare it with others of its stage."""
    if job.stage != "pretrain":
        return 1.0
    training = job.settings["pretraining"]
    return max(1.0, float(training["steps"] * training["rows"] * training["length"]))


def _remaining(timing: Status, rates: Mapping[str, float]) -> float | None:
    """Return the seconds that a job still needs; None if unknown."""
    if timing.state in ("done", "failed"):
        return 0.0
    if timing.seconds_left is not None:
        return timing.seconds_left
    if timing.job.stage not in rates:
        return None
    return max(0.0, rates[timing.job.stage] * _size(timing.job) - (timing.seconds or 0.0))


def describe_time_left(timings: Sequence[Status], runner: Runner | None) -> list[str]:
    """Return the estimate in words, and what it rests on; nothing if nothing is left."""
    if all(timing.state in ("done", "failed") for timing in timings):
        return []
    if runner is None or runner.slots is None:
        return [
            "time left: unknown, because the number of jobs at a time is not known on this machine"
        ]
    left = time_left(timings, runner.slots, cores=not runner.remote)
    if not left.known:
        return ["time left: unknown until the first job is done"]
    known = ", ".join(f"{number} {stage}" for stage, number in left.known.items())
    kind = "jobs at a time" if runner.remote else "cores"
    line = (
        f"time left: about {timedelta(seconds=round(left.seconds))} on {runner.slots} {kind} "
        f"(from what jobs took: {known})"
    )
    unknown = ", ".join(f"{number} {stage}" for stage, number in left.unknown.items())
    return [f"{line}, and what no job has shown yet: {unknown}" if unknown else line]
