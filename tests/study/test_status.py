"""States of jobs from the files that a study leaves."""

import json

from xling.study.job import log_file
from xling.study.plan import DONE, Job
from xling.study.status import failure, job_statuses, status_text

TRAINING = {"pretraining": {"steps": 1000, "rows": 4, "length": 32}}


def job(name, stage="tokens", settings=None):
    return Job(stage, name, settings or {})


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_states(tmp_path):
    jobs = [job(name) for name in ("finished", "working", "broken", "waiting")]
    write(tmp_path / "tokens" / "finished" / DONE)
    write(log_file(tmp_path, jobs[0].folder), "all well\n")
    write(log_file(tmp_path, jobs[1].folder), "at work: exit status unknown\nexit soon\n")
    write(log_file(tmp_path, jobs[2].folder), "error: no text\nexit status 2\n")
    active = job_statuses(tmp_path, jobs, active=True)
    assert [status.state for status in active] == ["done", "running", "failed", "pending"]
    stopped = job_statuses(tmp_path, jobs, active=False)
    assert [status.state for status in stopped] == ["done", "pending", "failed", "pending"]
    text = status_text(tmp_path, active).splitlines()
    assert text == [
        "1 done, 1 running, 1 failed, 1 pending",
        "  tokens  1 done, 1 running, 1 failed, 1 pending",
        "running: tokens/working",
        "failed: tokens/broken",
        "time left: unknown, because the number of jobs at a time is not known on this machine",
    ]


def test_what_was_done_a_moment_ago_is_not_read_again(tmp_path):
    jobs = [job("first"), job("second")]
    write(tmp_path / jobs[0].output)
    before = job_statuses(tmp_path, jobs, active=True)
    (tmp_path / jobs[0].output).unlink()
    write(tmp_path / jobs[1].output)
    states = [s.state for s in job_statuses(tmp_path, jobs, active=True, before=before)]
    assert states == ["done", "done"]
    assert [s.state for s in job_statuses(tmp_path, jobs, active=True)] == ["pending", "done"]


def test_a_failure_shows_the_end_of_its_log(tmp_path):
    broken = job("broken")
    write(
        log_file(tmp_path, broken.folder),
        "".join(f"line {n}\n" for n in range(5000)) + "exit status 2\n",
    )
    text = failure(tmp_path, broken)
    assert "tokens/broken" in text
    assert str(log_file(tmp_path, broken.folder)) in text
    assert "line 4999" in text
    assert "line 4000" not in text


def test_progress_of_training_is_the_last_whole_entry(tmp_path):
    run = job("default", "pretrain", TRAINING)
    write(log_file(tmp_path, run.folder))

    def progress():
        return job_statuses(tmp_path, [run], active=True)[0].progress

    assert progress() == "step 0/1,000"
    entries = [
        {"step": step, "kind": "train", "language": "en", "tokens_per_second": 640.0}
        for step in (100, 200)
    ]
    lines = [json.dumps(entry) for entry in entries]
    dev = json.dumps({"step": 200, "kind": "dev", "language": "en", "loss": 3.0})
    write(tmp_path / "pretrain" / "default" / "log.jsonl", "\n".join([*lines, dev, '{"step": 3']))
    # 800 steps of 4 x 32 tokens at 640 tokens a second
    assert progress() == "step 200/1,000, 640 tokens/s, 0:02:40 left"
