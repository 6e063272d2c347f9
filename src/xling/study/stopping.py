"""Stopping a run of a study: signals to its runner, and the end of its workflow and jobs."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

_CANCEL_SECONDS = 60.0
_STOP_SECONDS = 60.0  # killed processes end at once, but a busy machine may report it late
# A terminal sends SIGINT (Ctrl-C) and SIGHUP (its end); schedulers and service managers SIGTERM.
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heed_signals() -> None:
    """Have SIGTERM and SIGHUP interrupt this process as Ctrl-C does, once.

    A closed terminal signals twice, from the kernel and from the shell; the second must not
    interrupt the stopping. What is ignored (``nohup``) stays so.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Hold signals back until the block has ended, e.g. until a started process is recorded.

    Yields:
        A function that lets them through again. A child inherits the mask, so it calls this first
        (``preexec_fn``).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)

    def let_through() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield let_through
    finally:
        let_through()


def stop_workflow(workflow: psutil.Process, remote: bool) -> None:
    """End a workflow and its jobs; Snakemake withdraws its queued jobs itself."""
    if remote:
        try:
            workflow.send_signal(signal.SIGINT)
            workflow.wait(timeout=_CANCEL_SECONDS)
            return
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            with suppress(OSError):  # the terminal may have been closed
                print("Snakemake did not end; look for jobs of it in the queue", file=sys.stderr)
    _stop_tree(workflow)


def _stop_tree(workflow: psutil.Process) -> None:
    """End a workflow and its jobs on this machine; every stage may be killed at any moment."""
    jobs: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):  # Ctrl-C reaches all of them, it may end by itself
        workflow.suspend()  # so that it starts nothing in the place of what is ended
        jobs = workflow.children(recursive=True)
        workflow.kill()
    _end([workflow, *jobs])


def stop_marked(name: str, value: str) -> None:
    """End processes with a variable in their environment: jobs whose workflow has already ended."""
    ours = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(name) == value:
                ours.append(process)
    _end(ours)


def _end(processes: list[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_STOP_SECONDS)
