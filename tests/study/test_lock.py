"""Who holds a study's folder, and what becomes of a workflow whose runner is gone."""

import json
import subprocess
import sys

import psutil
import pytest

from xling.errors import XlingError
from xling.study.lock import Runner, exclusive, is_active, read_runner

HOLD = """
import fcntl, pathlib, signal, sys
lock = open(sys.argv[1], "a")
fcntl.flock(lock, fcntl.LOCK_EX)
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    print("held", flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).with_name("taken back").touch()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder, as a workflow does, until the end of the test."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"held\n"
        yield psutil.Process(process.pid)
        process.kill()


@pytest.fixture
def ended():
    """What tells a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = process.pid, psutil.Process(process.pid).create_time()
    process.communicate()
    return found


def write(folder, host, runner, workflow, remote=False):
    record = {"host": host, "runner": runner, "workflow": workflow, "slots": 2, "remote": remote}
    (folder / ".lock").write_text(json.dumps(record))


def identity(process):
    return process.pid, process.create_time()


def here(tmp_path):
    with exclusive(tmp_path / "other"):
        return read_runner(tmp_path / "other").host


def test_the_holder_is_written_down(tmp_path):
    with exclusive(tmp_path) as lock:
        lock.note(workflow=(7, 1.5), slots=2)
        found = read_runner(tmp_path)
        assert found == Runner(found.host, identity(psutil.Process()), (7, 1.5), 2, False)
        with pytest.raises(XlingError, match=rf"\(on {found.host}, process {found.runner[0]}\)"):
            exclusive(tmp_path).__enter__()
    assert not is_active(tmp_path)


def test_a_workflow_without_its_runner_is_stopped(tmp_path, holder, ended):
    write(tmp_path, here(tmp_path), ended, identity(holder))
    assert is_active(tmp_path)
    with pytest.raises(XlingError, match="run already"):
        exclusive(tmp_path, take_over=False).__enter__()
    with exclusive(tmp_path):
        holder.wait(timeout=300)  # fails if nobody has stopped it


def test_a_workflow_whose_jobs_are_elsewhere_is_left_to_take_them_back(tmp_path, holder, ended):
    write(tmp_path, here(tmp_path), ended, identity(holder), remote=True)
    with exclusive(tmp_path):
        assert (tmp_path / "taken back").exists()


def test_what_is_not_ours_to_stop_is_left_alone(tmp_path, holder, ended):
    me, host = identity(psutil.Process()), here(tmp_path)
    later = (holder.pid, holder.create_time() + 100)
    for record in (
        (host, me, identity(holder)),  # its runner works
        ("elsewhere", ended, identity(holder)),  # and we cannot look
        (host, ended, later),  # another process has its number now
        (host, ended, None),
    ):
        write(tmp_path, *record)
        with pytest.raises(XlingError, match="run already"):
            exclusive(tmp_path).__enter__()
        assert holder.is_running()
    (tmp_path / ".lock").write_text("?")
    with pytest.raises(XlingError, match=r"run already; wait"):
        exclusive(tmp_path).__enter__()
    assert read_runner(tmp_path) is None
