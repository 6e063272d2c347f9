"""Data that changes while a study runs is noticed, by the job that reads it."""

import json
import os
import time

import pytest

from xling.artefact import RECORD
from xling.errors import XlingError
from xling.study import job as job_module
from xling.study.config import StudyConfig
from xling.study.inputs import Stamp, check_agreement, check_files
from xling.study.job import log_file, run_job
from xling.study.plan import Planner
from xling.study.run import run_study
from xling.study.workflow import Execution


@pytest.fixture
def own_data(tmp_path, make_data):
    return make_data(tmp_path / "data", {"en": 1, "fr": 2})


@pytest.fixture
def planned(study_file, own_data, tmp_path, monkeypatch):
    """The folder of a study that has been planned; the current one. By stage, a job of it."""
    with monkeypatch.context() as patch:
        patch.setattr("xling.study.run.dry_run", lambda _: [])  # Snakemake is not asked
        run_study(study_file(), own_data, tmp_path / "out", Execution(jobs=1), dry=True)
    monkeypatch.chdir(tmp_path / "out")
    jobs = json.loads((tmp_path / "out" / "plan.json").read_text())["jobs"]
    return {job["stage"]: folder for folder, job in jobs.items()}


@pytest.fixture
def doing(monkeypatch):
    """Return a function that has jobs do something in place of their verb."""

    def do(work):
        def run(verb, processes, log, record):
            work()
            return 0

        monkeypatch.setattr(job_module, "_run_cold", run)

    return do


def change(path):
    """Change a letter, so that neither size nor anything but time and content tells."""
    text = path.read_text()
    path.write_text(text[:-3] + "x" + text[-2:])
    later = time.time() + 5  # a coarse clock would give the same time
    os.utime(path, (later, later))


def test_jobs_know_their_files(study_file, own_data):
    plan = Planner(StudyConfig.load(study_file()), own_data).plan()
    read = {job.stage: {name.split("/data/")[1] for name in job.files} for job in plan.jobs}
    text = {"text/wiki/en.txt", "text/wiki/fr.txt"}
    assert read["vocabulary"] == read["tokens"] == text
    assert read["pretrain"] == set()
    assert read["probe"] == {"parallel/held-out/en.txt", "parallel/held-out/fr.txt"}
    assert {name for job in plan.jobs for name in job.files} == set(plan.files)


def test_a_file_that_changed_before_a_job(planned, own_data, doing, tmp_path):
    doing(lambda: pytest.fail("ran on other data than planned"))
    changed = own_data / "text" / "wiki" / "fr.txt"
    change(changed)
    assert run_job(planned["tokens"], 0, ["tokens"]) == 2
    (line,) = log_file(tmp_path / "out", planned["tokens"]).read_text().splitlines()
    assert line.startswith(f"error: {changed}: has changed since this study was planned")
    doing(lambda: None)
    assert run_job(planned["probe"], 0, ["probe"]) == 0  # which does not read it
    changed.unlink()
    assert run_job(planned["vocabulary"], 0, ["vocabulary"]) == 2
    log = log_file(tmp_path / "out", planned["vocabulary"]).read_text()
    assert f"{changed}: has gone" in log


def test_what_a_job_made_while_its_file_changed_is_not_kept(planned, own_data, doing, tmp_path):
    made = tmp_path / "out" / planned["vocabulary"]

    def work():
        made.mkdir(parents=True)
        (made / RECORD).write_text("{}")
        change(own_data / "text" / "wiki" / "en.txt")

    doing(work)
    assert run_job(planned["vocabulary"], 0, ["vocabulary"]) == 2
    assert not made.exists()
    assert "en.txt: has changed" in log_file(tmp_path / "out", planned["vocabulary"]).read_text()


def test_a_file_written_anew_with_the_same_content_is_the_same(planned, own_data, doing):
    path = own_data / "text" / "wiki" / "en.txt"
    later = time.time() + 5
    os.utime(path, (later, later))
    doing(lambda: None)
    assert run_job(planned["vocabulary"], 0, ["vocabulary"]) == 0


def test_a_stamp_of_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("before")
    stamp = Stamp.of(path)
    assert stamp.still_fits(path)
    change(path)
    assert not stamp.still_fits(path)
    path.unlink()
    assert not stamp.still_fits(path)


def test_data_that_a_study_made_for_itself(planned, tmp_path):
    """Nobody knows its content when the study is planned; what jobs have read of it must agree."""
    folder = tmp_path / "out"

    def record(stage, **inputs):
        (folder / planned[stage]).mkdir(parents=True, exist_ok=True)
        (folder / planned[stage] / RECORD).write_text(json.dumps({"inputs": inputs}))

    tokens = json.loads((folder / "plan.json").read_text())["jobs"][planned["tokens"]]
    assert planned["vocabulary"] == tokens["parents"]["vocabulary"]
    record("vocabulary", **{"text/wiki/en": "1", "text/wiki/fr": "2"})
    record("tokens", **{"text/wiki/en": "1", "text/wiki/fr": "2", "en/tokenizer.json": "3"})
    check_agreement(folder, planned["tokens"])
    record("tokens", **{"text/wiki/en": "1", "text/wiki/fr": "4"})
    with pytest.raises(XlingError, match=f"text/wiki/fr of the data: .*{planned['vocabulary']}"):
        check_agreement(folder, planned["tokens"])


def test_a_job_without_a_plan_is_not_checked(tmp_path):
    check_files(tmp_path, "tokens/en-fr/x")
    check_agreement(tmp_path, "tokens/en-fr/x")


def test_derived_data_is_made_again_of_changed_text(study_file, own_data):
    path = study_file(variants={"same": {"derive": "same"}})

    def derived():
        plan = Planner(StudyConfig.load(path), own_data).plan()
        return plan.data, {job.folder for job in plan.jobs if job.stage == "vocabulary"}

    before = derived()
    assert derived() == before
    change(own_data / "text" / "wiki" / "en.txt")
    after = derived()
    assert before[0] != after[0]
    assert before[1] != after[1]
