"""Locks of a study's folder, held by its runner and by its jobs; they end with their process.

A lock is held through an open file, so the system releases it however its process ends. On a
shared file system it also works between machines (NFS; Lustre mounted with flock).
"""

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import psutil

from xling.errors import XlingError
from xling.study.stopping import stop_workflow

LOCK = ".lock"


@dataclass(frozen=True)
class Runner:
    """Who holds a study's folder, as the lock's file says.

    Attributes:
        host: The machine.
        runner: The process that was asked to run the study, and when it started.
        workflow: Its Snakemake; None before that has started.
        slots: How many jobs (or cores, if they run here) at a time; None if Snakemake decides.
        remote: Whether jobs run elsewhere.
    """

    host: str
    runner: tuple[int, float]
    workflow: tuple[int, float] | None = None
    slots: int | None = None
    remote: bool = False


def identify(process: int) -> tuple[int, float]:
    """Return what tells a process from a later one of the same number."""
    return process, psutil.Process(process).create_time()


def is_held(path: Path) -> bool:
    """Tell whether a process holds a lock's file."""
    try:
        with open(path) as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError:  # no locks there, so nobody holds one
        return False
    return False


def is_active(folder: Path) -> bool:
    """Tell whether a process runs the study now."""
    return is_held(folder / LOCK)


def read_runner(folder: Path) -> Runner | None:
    """Return who runs the study, or ran it last; None if nobody did or it cannot be told."""
    try:
        found = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        runner, workflow = tuple(found.pop("runner")), found.pop("workflow")
        return Runner(runner=runner, workflow=tuple(workflow) if workflow else None, **found)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


class StudyLock:
    """A study's folder, locked against a second runner.

    Attributes:
        file: The lock's open file, to be handed on to processes that may outlive this one.
    """

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self._runner = Runner(socket.gethostname(), identify(os.getpid()))
        self._write()

    def note(self, **changes: object) -> None:
        """Say more of who runs the study: fields of `Runner`."""
        self._runner = Runner(**{**asdict(self._runner), **changes})
        self._write()

    def _write(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        json.dump(asdict(self._runner), self.file)
        self.file.flush()


@contextmanager
def exclusive(folder: Path, take_over: bool = True) -> Iterator[StudyLock]:
    """Lock a study's folder against a second runner.

    The lock dies with the last process that has its file.

    Args:
        folder: The study's folder.
        take_over: Stop a workflow that outlived its runner on this machine, for nobody else will.

    Raises:
        XlingError: somebody else runs the study, or there cannot be such a folder or lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise XlingError(
            f"{folder}: is a file or lies below one; name a folder with --out"
        ) from None
    with open(folder / LOCK, "a+", encoding="utf-8") as file:
        if not _lock(file, folder):
            holder = read_runner(folder)
            stopped = take_over and holder is not None and _stop_orphan(holder)
            if not (stopped and _lock(file, folder)):
                where = f" (on {holder.host}, process {holder.runner[0]})" if holder else ""
                raise XlingError(
                    f"{folder}: this study is being run already{where}; wait for it or stop it "
                    "first"
                )
        yield StudyLock(file)


def _lock(file: IO[str], folder: Path) -> bool:
    """Take the lock; tell whether it was free."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise XlingError(
            f"{folder}: its file system has no locks ({error}), which keep two runs apart; choose "
            "a folder elsewhere with --out (Lustre has them if mounted with -o flock)"
        ) from None
    return True


def _stop_orphan(holder: Runner) -> bool:
    """Stop a workflow whose runner on this machine has been killed; tell whether there was one."""
    if holder.host != socket.gethostname() or _find(holder.runner) or not holder.workflow:
        return False
    workflow = _find(holder.workflow)
    if workflow is None:
        return False
    print("an earlier run was killed and left its workflow behind: stopping it", file=sys.stderr)
    stop_workflow(workflow, holder.remote)
    return True


def _find(identity: tuple[int, float]) -> psutil.Process | None:
    """Return a process if it still runs; a zombie does not."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(identity[0])
        alive = process.create_time() == identity[1]
        if alive and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None
