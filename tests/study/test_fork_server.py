"""Jobs that are forked from a process which has made their imports."""

import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from xling.files import only_writer
from xling.study import fork_server
from xling.study.fork_server import FORK_SERVER, run_in_fork, start_fork_server
from xling.study.lock import is_held


def born(folder: Path) -> "Iterator[subprocess.Popen[bytes]]":
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FORK_SERVER, str(folder / "socket"))
        process = start_fork_server()
        yield process
    process.stdin.close()
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all tests that leave it alone: its imports take seconds."""
    yield from born(tmp_path_factory.mktemp("server"))


@pytest.fixture
def doomed(tmp_path):
    """One that a test may end."""
    yield from born(tmp_path)


@pytest.fixture
def job(tmp_path):
    """The function that runs a verb: its status and what it said. It holds ``record``."""

    def run(*verb: str) -> tuple[int | None, str]:
        with open(tmp_path / "log", "wb") as log, open(tmp_path / "record", "w") as record:
            fcntl.flock(record, fcntl.LOCK_EX)
            status = run_in_fork(verb, log, record)
        return status, (tmp_path / "log").read_text()

    return run


@pytest.fixture
def writer(tmp_path):
    """What keeps a verb from its output folder; closing it lets the verb go on."""
    with ExitStack() as stack:
        stack.enter_context(only_writer(tmp_path / "out"))
        yield stack


@pytest.fixture
def blocked(writer, tmp_path):
    """A verb that waits until nobody else writes its output folder."""
    return ("vocabulary", "data", "--out", str(tmp_path / "out"), "--config", "settings")


def child(server: "subprocess.Popen[bytes]") -> psutil.Process:
    while True:
        for found in psutil.Process(server.pid).children():
            if found.name() == "xling vocabulary"[:15]:
                return found


@pytest.mark.slow
def test_verbs_run_as_from_the_shell(server, job, tmp_path):
    for verb in (["--help"], ["pretrain", "--nothing"], ["data", "check", "nowhere"]):
        command = [sys.executable, "-m", "xling", *verb]
        cold = subprocess.run(command, capture_output=True, text=True, check=False)
        assert job(*verb) == (cold.returncode, cold.stdout + cold.stderr)
        assert not is_held(tmp_path / "record")


@pytest.mark.slow
def test_two_run_at_a_time(server, job, blocked, writer, tmp_path):
    with ThreadPoolExecutor(1) as pool, open(tmp_path / "other", "wb") as log:
        first = pool.submit(job, *blocked)
        waiting = child(server)
        assert run_in_fork(["--help"], log, log) == 0
        assert waiting.is_running()
        writer.close()
        assert first.result()[0] == 2


@pytest.mark.slow
def test_a_job_that_is_killed_says_so(server, job, blocked):
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(job, *blocked)
        child(server).kill()
        assert done.result()[0] == -9
    assert job("--help")[0] == 0


@pytest.mark.slow
def test_who_is_killed_while_asking_harms_nobody(server, job):
    for said in (b"", b'{"verb": ['):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(os.environ[FORK_SERVER])
            client.sendall(said)
    assert job("--help")[0] == 0
    assert server.poll() is None


@pytest.mark.slow
def test_a_job_outlives_the_server_and_holds_its_record(doomed, job, blocked, tmp_path):
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(job, *blocked)
        left = child(doomed)
        doomed.stdin.close()  # as when Snakemake ends
        doomed.wait()
        status, said = done.result()
        assert status == 1
        assert said.endswith("the process that forks into jobs has been killed\n")
        assert left.is_running()
        assert is_held(tmp_path / "record")
        left.kill()
        psutil.wait_procs([left])


def test_without_one_nothing_is_run(job, monkeypatch, tmp_path):
    monkeypatch.delenv(FORK_SERVER, raising=False)
    assert job("--help") == (None, "")
    assert fork_server.start_fork_server() is None
    monkeypatch.setenv(FORK_SERVER, str(tmp_path / "nobody listens"))
    assert job("--help") == (None, "")
