"""How long a study will still take, from the durations of its finished jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from statistics import median

from xling.study.lock import Runner
from xling.study.plan import Job


@dataclass(frozen=True)
class Timing:
    """What is known about one job's time.

    Attributes:
        job: The job.
        state: ``done``, ``running``, ``failed`` or ``left``.
        seconds: How long it took or has run; None if unknown.
        seconds_left: What a running job says itself; None if it says nothing.
    """

    job: Job
    state: str
    seconds: float | None = None
    seconds_left: float | None = None

    @property
    def whole(self) -> float | None:
        """How long the job takes in all, as far as it tells."""
        if self.state == "done":
            return self.seconds
        if self.seconds is None or self.seconds_left is None:
            return None
        return self.seconds + self.seconds_left


@dataclass(frozen=True)
class TimeLeft:
    """An estimate and what it rests on.

    Attributes:
        seconds: Until everything that is left is done.
        known: For each stage, how many jobs tell how long one takes.
        unknown: For each stage of which none does, how many jobs are left out.
    """

    seconds: float
    known: Mapping[str, int]
    unknown: Mapping[str, int]


def time_left(timings: Sequence[Timing], slots: int, cores: bool) -> TimeLeft:
    """Estimate how long a study will still take.

    A job is expected to take the median time of its stage, a training run in
    proportion to its tokens. Jobs share the slots evenly, except that no job waits less than
    the chain of jobs before it takes.

    Args:
        timings: Of all jobs, parents before children.
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


def _rates(timings: Sequence[Timing]) -> dict[str, float]:
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


def _remaining(timing: Timing, rates: Mapping[str, float]) -> float | None:
    """Return the seconds that a job still needs; None if unknown."""
    if timing.state in ("done", "failed"):
        return 0.0
    if timing.seconds_left is not None:
        return timing.seconds_left
    if timing.job.stage not in rates:
        return None
    return max(0.0, rates[timing.job.stage] * _size(timing.job) - (timing.seconds or 0.0))


def describe_time_left(timings: Sequence[Timing], runner: Runner | None) -> list[str]:
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
