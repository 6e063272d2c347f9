"""Slurm's state: how large its nodes are, which jobs of a study wait in its queue, and why."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from xling.study.plan import Job
from xling.study.resources import Resources

EXECUTOR = "slurm"
_SECONDS = 20  # longest wait for a controller's answer
_LOOK_SECONDS = 15  # between queries: a controller serves everybody
_PENDING, _RUNNING = "PENDING", "RUNNING"
# Reasons that pass by themselves if the request fits a node: other jobs run first.
_PASSING = {"", "None", "Priority", "Resources", "Dependency", "Prolog", "BeginTime"}
_RUN = re.compile(r"^SLURM run ID: (\S+)$", re.MULTILINE)
_PARTITION = re.compile(r"slurm_partition=(\S+)")


@dataclass(frozen=True)
class Node:
    """How much one node has.

    Attributes:
        cores: CPUs, as Slurm counts them.
        memory_mb: Main memory in MiB.
    """

    cores: int
    memory_mb: int


@dataclass(frozen=True)
class Queued:
    """One of a study's jobs in the queue.

    Attributes:
        folder: The job's folder; its name in the queue if it is no job of the study.
        state: As Slurm writes it, e.g. ``PENDING``.
        reason: Why it waits, e.g. ``Priority``.
    """

    folder: str
    state: str
    reason: str


def largest_node(options: Sequence[str] = ()) -> Node | None:
    """Return the most that a node has; None if unknown.

    Args:
        options: Snakemake's options; if they name a partition, only that one counts.
    """
    named = _PARTITION.search(" ".join(options))
    where = ["--partition", named[1]] if named else []
    found = []
    for line in _ask("sinfo", "--noheader", "--format=%c|%m", *where).splitlines():
        # A plus marks the least of several values.
        numbers = [field.strip().rstrip("+") for field in line.split("|")]
        if len(numbers) == 2 and all(map(str.isdecimal, numbers)):
            found.append(Node(int(numbers[0]), int(numbers[1])))
    if not found:
        return None
    return Node(max(node.cores for node in found), max(node.memory_mb for node in found))


def lacks_accounting() -> bool:
    """Tell whether the cluster has no accounting, so that ``sacct`` knows nothing of its jobs."""
    config = _ask("scontrol", "show", "config")
    return bool(re.search(r"^AccountingStorageType\s*=\s*\S*none\s*$", config, re.MULTILINE))


def queue(folder: Path, jobs: Sequence[Job]) -> list[Queued]:
    """Return which jobs of the study's last run are in the queue; empty if unknown.

    Args:
        folder: The study's folder.
        jobs: Its jobs.
    """
    try:
        log = (folder / "logs" / "workflow.log").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    runs = _RUN.findall(log)
    if not runs:
        return []
    # Snakemake names all jobs by the run, and each in the comment by its rule and wildcards.
    said = _ask("squeue", "--noheader", "--name", runs[-1], "--format=%T|%k|%r")
    names = {f"rule_{job.stage}_wildcards_{job.name.replace('/', '_')}": job.folder for job in jobs}
    found = []
    for line in said.splitlines():
        fields = line.strip().split("|", 2)
        if len(fields) == 3:
            state, comment, reason = fields
            found.append(Queued(names.get(comment, comment), state, reason))
    return found


def queue_text(queued: Sequence[Queued]) -> list[str]:
    """Return a line that counts what waits in the queue, by reason; nothing if nothing does."""
    waiting = Counter(job.reason or "None" for job in queued if job.state == _PENDING)
    if not waiting:
        return []
    reasons = ", ".join(f"{number} {reason}" for reason, number in waiting.most_common())
    running = sum(job.state == _RUNNING for job in queued)
    return [f"in the queue: {waiting.total()} waiting ({reasons}), {running} running"]


def hindrances(
    queued: Sequence[Queued], asked: Mapping[str, Resources], node: Node | None
) -> dict[str, str]:
    """Return, by stage and reason, a line about a job that waits for more than its turn.

    Args:
        queued: What is in the queue.
        asked: What each job asks for, by its folder.
        node: The largest there is.
    """
    found: dict[str, str] = {}
    for job in queued:
        if job.state != _PENDING:
            continue
        stage, request = job.folder.partition("/")[0], asked.get(job.folder)
        large = request is not None and node is not None and _too_much(stage, request, node)
        if large or job.reason not in _PASSING:
            line = f"waiting: {job.folder}: Slurm's reason is {job.reason or 'not given'}"
            if request is not None:
                line += f"; it asks for {_written(request)}"
            found.setdefault(f"{stage} {job.reason}", f"{line}; {large}" if large else line)
    return found


def unfit(asked: Mapping[str, Resources], node: Node | None) -> list[str]:
    """Return a line for each stage that asks for more than the largest node has."""
    found: dict[str, str] = {}
    for folder, request in asked.items() if node else ():
        stage = folder.partition("/")[0]
        large = _too_much(stage, request, node) if node else ""
        if large:
            found.setdefault(stage, f"{folder} asks for {_written(request)}: {large}")
    return list(found.values())


class QueueWatch:
    """Polls the queue while a study runs, and reports what is new.

    Args:
        folder: The study's folder.
        jobs: Its jobs.
        asked: What each asks for, by its folder.
        node: The largest there is.
    """

    def __init__(
        self, folder: Path, jobs: Sequence[Job], asked: Mapping[str, Resources], node: Node | None
    ) -> None:
        self.text: list[str] = []
        self._folder, self._jobs, self._asked, self._node = folder, jobs, asked, node
        self._said: set[object] = set()
        self._next = 0.0

    def news(self) -> list[str]:
        """Return lines not yet reported: new reasons to wait, and what to do about them."""
        if time.monotonic() < self._next:
            return []
        queued = queue(self._folder, self._jobs)
        self._next = time.monotonic() + _LOOK_SECONDS
        hindered = hindrances(queued, self._asked, self._node)
        count = queue_text(queued)
        self.text = [*count, *hindered.values()]
        reasons = frozenset(job.reason for job in queued if job.state == _PENDING) - {"", "None"}
        found = dict.fromkeys([reasons] if reasons else [], "".join(count)) | hindered
        new = [line for key, line in found.items() if key not in self._said]
        self._said.update(found)
        return new


def _too_much(stage: str, request: Resources, node: Node) -> str:
    """Return what to do about a request that no node can meet; empty if one can."""
    if request.threads <= node.cores and request.memory_mb <= node.memory_mb:
        return ""
    return (
        f"no node has more than {node.cores} cores and {node.memory_mb:,} MiB; ask for less under "
        f"`resources: {{{stage}: ...}}` in the study's file (threads, memory_gb)"
    )


def _written(request: Resources) -> str:
    gpus = f", {request.gpus} GPUs" if request.gpus else ""
    return f"{request.threads} cores, {request.memory_mb:,} MiB{gpus}"


def _ask(*command: str) -> str:
    """Return the output of a Slurm command; nothing if it is missing or fails."""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if result.returncode else result.stdout
