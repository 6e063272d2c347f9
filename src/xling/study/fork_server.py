"""Jobs without the wait for imports: a process that has imported everything forks for each job.

Importing torch and transformers takes a core several seconds, longer than many small jobs do. So
Snakemake's process keeps a child, the *fork server*, which imports them when the first job asks,
and forks for every job after that. It ends when Snakemake does; the jobs that it started do not.

Only jobs of one thread on this machine use it: a fork may not set up thread pools again.
"""

import json
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, TypedDict

FORK_SERVER = "XLING_FORK_SERVER"  # names the socket that jobs are asked for at
_FILES = 2  # handed over with a request: the job's log and its record
_LARGEST = 1 << 20
_NAME_LENGTH = 15  # of a process, on Linux


def start_fork_server() -> "subprocess.Popen[bytes] | None":
    """Start the fork server whose socket the environment names; return once it listens.

    Returns:
        Its process, to be kept: it ends when its input is closed. None if no socket is named.
    """
    path = os.environ.get(FORK_SERVER)
    if path is None:
        return None
    process = subprocess.Popen(
        [sys.executable, "-m", "xling.study.fork_server", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def run_in_fork(verb: Sequence[str], log: IO[bytes], record: IO[str]) -> int | None:
    """Have the fork server run a verb in the current folder, and wait for it.

    Args:
        verb: The verb and its arguments.
        log: Where its output goes.
        record: Held open as long as the job runs.

    Returns:
        Its exit status, negative for a signal; None if there is no fork server.
    """
    if FORK_SERVER not in os.environ:
        return None
    request = {"verb": list(verb), "folder": str(Path.cwd()), "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.connect(os.environ[FORK_SERVER])
        except OSError:
            return None
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(server, [message], [log.fileno(), record.fileno()])
        server.sendall(message[sent:])
        answer = server.makefile().readline()
    if answer:
        return int(answer)
    # The job itself may live on; whoever starts it again waits for it.
    log.write(b"the process that forks into jobs has been killed\n")
    return 1


def _serve(listener: socket.socket) -> None:
    """Fork for every request until standard input is closed."""
    running: dict[BaseProcess, socket.socket] = {}
    with selectors.DefaultSelector() as events:
        events.register(sys.stdin.buffer, selectors.EVENT_READ)
        events.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj is sys.stdin.buffer:
                    # Not through `sys.exit`, which would wait for the jobs.
                    os._exit(0)
                if key.fileobj is listener:
                    client, _ = listener.accept()
                    job = _fork(client, [listener, *running.values()])
                    if job is None:
                        client.close()
                        continue
                    running[job] = client
                    events.register(job.sentinel, selectors.EVENT_READ, job)
                else:
                    events.unregister(key.fileobj)
                    key.data.join()
                    _answer(running.pop(key.data), key.data)


def _fork(client: socket.socket, others: Sequence[socket.socket]) -> BaseProcess | None:
    """Fork for a request; None if its sender was killed before sending all of it."""
    message, files, _, _ = socket.recv_fds(client, _LARGEST, _FILES)
    while not message.endswith(b"\n"):
        more = client.recv(_LARGEST)
        if not more:
            for file in files:
                os.close(file)
            return None
        message += more
    # What jobs import, once for all of them.
    import xling.alignment.sentence_stage
    import xling.pretraining.run
    import xling.similarity.probe
    import xling.transfer.context  # noqa: F401

    job = multiprocessing.get_context("fork").Process(
        target=_run, args=(json.loads(message), files, [client, *others])
    )
    job.start()
    for file in files:
        os.close(file)
    return job


def _answer(client: socket.socket, job: BaseProcess) -> None:
    with client, suppress(OSError):  # the sender may have been killed
        client.sendall(f"{job.exitcode}\n".encode())


class Request(TypedDict):
    """What is sent to have a verb run.

    Attributes:
        environment: Variables.
        folder: Where it runs.
        verb: The verb and its arguments.
    """

    environment: dict[str, str]
    folder: str
    verb: list[str]


def _run(request: Request, files: Sequence[int], sockets: Sequence[socket.socket]) -> None:
    """Run the job in the forked process: close what the fork server has open first."""
    for inherited in sockets:
        inherited.close()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.dup2(files[0], 1)
    os.dup2(files[0], 2)
    os.close(files[0])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    sys.argv = ["xling", *request["verb"]]
    with suppress(OSError):  # what `top` shows; only Linux has it
        Path("/proc/self/comm").write_text(f"xling {request['verb'][0]}"[:_NAME_LENGTH])
    runpy.run_module("xling", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the runner
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.bind(sys.argv[1])
        waiting.listen()
        print("listening", flush=True)
        _serve(waiting)
