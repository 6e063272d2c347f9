"""A study that prepares its data: a job for each language, and everything else from the result."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml

from xling.errors import XlingError
from xling.files import content_hash
from xling.study.config import StudyConfig
from xling.study.job import verb_of
from xling.study.plan import Planner, plan_as_json
from xling.study.plan_text import Outline
from xling.study.resources import Stage, job_resources
from xling.study.run import run_study
from xling.study.workflow import Execution

STEPS = {"lower": True, "duplicates": True, "equal": {"across": "languages"}}


@pytest.fixture
def plan(study_file, data):
    """Plan a study of the data with these steps."""

    def planned(folder: Path = data, **steps):
        return Planner(StudyConfig.load(study_file(prepare=steps or STEPS)), folder).plan()

    return planned


def jobs(plan, stage: str) -> list:
    return [job for job in plan.jobs if job.stage == stage]


def test_each_language_is_a_job_and_what_they_make_is_put_together(plan, data):
    found = plan()
    english, french, whole = jobs(found, "prepare")
    assert found.data == whole.folder
    assert whole.parents == {"en": english.folder, "fr": french.folder}
    assert english.settings["equal"] is None
    assert whole.settings["equal"]["across"] == "languages"
    assert not any(whole.settings[step] for step in ("lower", "duplicates", "decontaminate"))
    content = {**plan_as_json(found), "data": found.data, "given": str(data)}
    verb = verb_of(french.folder, content, 3)
    assert verb[:3] == ["data", "prepare", str(data)]
    assert verb[verb.index("--languages") + 1] == "fr"
    assert verb_of(whole.folder, content, 1)[2:4] == [english.folder, french.folder]
    assert verb_of(jobs(found, "vocabulary")[0].folder, content, 1)[1] == whole.folder


def test_names_follow_the_steps_and_every_evaluation_file(plan, study_file, data):
    before, other = plan(), plan(lower=True)
    plain = Planner(StudyConfig.load(study_file()), data).plan()
    names = [{job.folder for job in jobs(of, "vocabulary")} for of in (before, other, plain)]
    assert not names[0] & names[1]
    assert not names[0] & names[2]
    assert plan().jobs == before.jobs
    path = data / "parallel/held-out/fr.txt"
    path.write_text(path.read_text() + "one more .\n")
    english = jobs(plan(), "prepare")[0]
    assert english.folder != jobs(before, "prepare")[0].folder
    assert str(path) in english.files


def test_the_study_file_says_what_preparing_asks_for(study_file, data):
    study = StudyConfig.load(study_file(prepare=STEPS, resources={"prepare": {"memory_gb": 8}}))
    found = Planner(study, data).plan()
    assert {job.stage for job in found.jobs} <= set(get_args(Stage))
    memory = {
        resources.memory_mb
        for folder, resources in job_resources(found.jobs, study.resources).items()
        if folder.startswith("prepare/")
    }
    assert memory == {round(8e9 / 2**20)}


def test_steps_may_be_a_file_or_a_shipped_name(study_file, data, tmp_path):
    (tmp_path / "steps.yaml").write_text(yaml.safe_dump(STEPS))
    by_file = StudyConfig.load(study_file(prepare="steps.yaml"))
    assert by_file.prepare == StudyConfig.load(study_file(prepare=STEPS)).prepare
    shipped = StudyConfig.load(study_file(prepare="paper/prepare"))
    assert shipped.prepare.moses
    assert len(jobs(Outline(shipped).plan(), "prepare")) == 3
    with pytest.raises(XlingError, match=r"nowhere\.yaml: not found"):
        StudyConfig.load(study_file(prepare="nowhere.yaml"))
    with pytest.raises(XlingError, match=r"prepare\.lowr: unknown setting"):
        StudyConfig.load(study_file(prepare={"lowr": True}))


@pytest.mark.slow
def test_a_study_learns_from_what_it_has_prepared(study_file, data, tmp_path):
    path = data / "text/wiki/en.txt"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line.upper() for line in [*lines, *lines[:50]]) + "\n")
    out = tmp_path / "out"
    run = Execution(jobs=1, options=("--until", "tokens"))
    study = study_file(prepare=STEPS, variants={"default": {}})
    run_study(study, data, out, run, dry=False)
    planned = json.loads((out / "plan.json").read_text())
    whole = out / planned["data"]
    prepared = (whole / "text/wiki/en.txt").read_text().splitlines()
    assert len(prepared) == 400
    assert prepared == [line.lower() for line in lines]
    (vocabulary,) = [job for job in planned["jobs"] if job.startswith("vocabulary/")]
    inputs = json.loads((out / vocabulary / "artefact.json").read_text())["inputs"]
    assert inputs["text/wiki/en"] == content_hash(whole / "text/wiki/en.txt")
    assert (whole / "parallel/held-out/fr.txt").exists()
