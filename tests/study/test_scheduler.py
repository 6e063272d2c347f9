import pytest

from xling.study.scheduler import main, without_default_limit


@pytest.mark.parametrize(
    ("options", "expected"),
    [((), None), (("--max-jobs-per-timespan", "5/1m"), {"max_jobs": 5, "timespan": 60})],
)
def test_only_a_limit_asked_for_is_kept(options, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limit = without_default_limit(["--jobs", "2", *options])[1].max_jobs_per_timespan
    assert expected == (limit and vars(limit))


def test_the_scheduler_looks_when_something_happens_only(tmp_path, monkeypatch):
    """With a limit each of the jobs leaves a chain of looks behind, one a second."""
    from snakemake.scheduling.job_scheduler import JobScheduler

    looks = []
    monkeypatch.setattr(JobScheduler, "_schedule_reevalutation", lambda *_: looks.append(1))
    (tmp_path / "Snakefile").write_text(
        "NUMBERS = range(4)\n"
        "rule all:\n    input: expand('{n}.txt', n=NUMBERS)\n"
        "rule one:\n    output: '{n}.txt'\n    run: open(output[0], 'w').close()\n"
    )
    command = ["--snakefile", str(tmp_path / "Snakefile"), "--directory", str(tmp_path)]
    assert main([*command, "--jobs", "1", "--scheduler", "greedy"]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.txt")) == [f"{n}.txt" for n in range(4)]
    assert looks == []


def test_a_workflow_that_cannot_be_read_fails(tmp_path):
    assert main(["--snakefile", str(tmp_path / "none")]) == 1
