"""Jobs run one at a time in their folder and leave their log and duration."""

import fcntl
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xling.study.job import log_file, read_time, record_file
from xling.study.lock import is_held

JOB = "tokens/en fr/x"


def start(study: Path, *verb: str) -> "subprocess.Popen[bytes]":
    code = f"import sys, xling.study.job as job; sys.exit(job.run_job({JOB!r}, 0, {verb!r}))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=study)


def test_a_job_leaves_its_log_and_its_duration(tmp_path):
    before = time.time()
    assert start(tmp_path, "--version-of-nothing").wait() == 2
    assert "--version-of-nothing" in log_file(tmp_path, JOB).read_text()
    started, seconds = read_time(tmp_path, JOB)
    assert before <= started <= time.time()
    assert seconds is None  # one that failed says nothing of how long it takes
    assert start(tmp_path, "--help").wait() == 0
    assert "pretrain" in log_file(tmp_path, JOB).read_text()
    _, seconds = read_time(tmp_path, JOB)
    assert 0 < seconds < time.time() - before


def test_a_quick_look_at_finished_work_is_no_duration(tmp_path):
    record_file(tmp_path, JOB).parent.mkdir(parents=True)
    record_file(tmp_path, JOB).write_text('{"started": 1.0, "seconds": 5000.0}')
    assert start(tmp_path, "--help").wait() == 0
    assert read_time(tmp_path, JOB)[1] == 5000.0


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux says who waits")
def test_a_second_one_waits(tmp_path):
    path = record_file(tmp_path, JOB)
    path.parent.mkdir(parents=True)
    with open(path, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert is_held(path)
        second = start(tmp_path, "--help")
        inode = f":{path.stat().st_ino} "
        while not any(
            "->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()
        ):
            assert second.poll() is None
            time.sleep(0.01)
        assert not log_file(tmp_path, JOB).exists()
    assert second.wait() == 0
    assert log_file(tmp_path, JOB).exists()
    assert not is_held(path)


def test_a_record_that_is_being_written_tells_nothing(tmp_path):
    assert read_time(tmp_path, JOB) == (None, None)
    record_file(tmp_path, JOB).parent.mkdir(parents=True)
    for text in ("", '{"started": 1.0', "[]", '{"started": 1.0}'):
        record_file(tmp_path, JOB).write_text(text)
        assert read_time(tmp_path, JOB) == (None, None)
