"""The time left, against schedules made by hand."""

import pytest

from xling.study.lock import Runner
from xling.study.plan import Job
from xling.study.status import Status, describe_time_left, time_left

HERE = ("here", (1, 1.0))


def probe(name, **more):
    return Job("probe", name, {}, **more)


def training(name, steps):
    return Job("pretrain", name, {"pretraining": {"steps": steps, "rows": 2, "length": 8}})


def test_jobs_alike_share_the_cores():
    done = [Status(probe(f"done-{n}"), "done", seconds) for n, seconds in enumerate((8, 10, 90))]
    left = [Status(probe(f"left-{n}"), "pending") for n in range(6)]
    estimate = time_left([*done, *left], slots=2, cores=True)
    # Six of the middle one's ten seconds on two cores.
    assert estimate.seconds == pytest.approx(30)
    assert dict(estimate.known) == {"probe": 3}
    assert not estimate.unknown


def test_a_job_that_runs_needs_the_rest_of_its_time():
    timings = [
        Status(probe("done"), "done", 10.0),
        Status(probe("running"), "running", 7.0),
        Status(probe("late"), "running", 17.0),
        Status(probe("failed"), "failed"),
    ]
    assert time_left(timings, slots=1, cores=True).seconds == pytest.approx(3)


def test_a_training_run_takes_time_by_its_tokens_and_tells_of_others():
    runs = training("a", 100), training("b", 300), training("c", 200)
    timings = [
        Status(runs[0], "running", seconds=30.0, seconds_left=20.0),
        Status(runs[1], "pending"),
        Status(runs[2], "pending"),
    ]
    # A step takes half a second: 20 + 150 + 100, but never less than the longest.
    assert time_left(timings, slots=1, cores=True).seconds == pytest.approx(270)
    assert time_left(timings, slots=9, cores=True).seconds == pytest.approx(150)


def test_what_depends_on_others_waits_for_them():
    run = training("a", 100)
    timings = [
        Status(training("before", 100), "done", 50.0),
        Status(probe("before"), "done", 5.0),
        Status(run, "pending"),
        Status(probe("after", parents={"pretrain": run.folder}), "pending"),
    ]
    assert time_left(timings, slots=4, cores=True).seconds == pytest.approx(55)


def test_a_job_of_two_threads_takes_two_cores_but_one_place_in_a_queue():
    timings = [Status(probe("done"), "done", 10.0)]
    timings += [Status(probe(f"left-{n}", threads=2), "pending") for n in range(4)]
    assert time_left(timings, slots=2, cores=True).seconds == pytest.approx(40)
    assert time_left(timings, slots=2, cores=False).seconds == pytest.approx(20)
    # More threads than cores are cut to the cores, as Snakemake does.
    assert time_left(timings, slots=1, cores=True).seconds == pytest.approx(40)


def test_it_says_what_it_rests_on():
    timings = [
        Status(probe("done"), "done", 90.0),
        Status(probe("pending"), "pending"),
        Status(training("pending", 10), "pending"),
    ]
    (text,) = describe_time_left(timings, Runner(*HERE, slots=2))
    assert text == (
        "time left: about 0:01:30 on 2 cores (from what jobs took: 1 probe), and what no job has "
        "shown yet: 1 pretrain"
    )
    (text,) = describe_time_left(timings, Runner(*HERE, slots=2, remote=True))
    assert "on 2 jobs at a time" in text
    (text,) = describe_time_left(timings[1:], Runner(*HERE, slots=2))
    assert "unknown until the first job is done" in text
    (text,) = describe_time_left(timings, Runner(*HERE, remote=True))
    assert "not known on this machine" in text
    assert describe_time_left(timings[:1], Runner(*HERE, slots=2)) == []
