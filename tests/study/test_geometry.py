"""Geometry in a study: which jobs, what they are named by, and that they run."""

import subprocess
import sys

import pandas as pd
import pytest
import yaml

from xling.errors import XlingError
from xling.study.config import StudyConfig
from xling.study.plan import Planner

WORLD = {
    "seed": 3,
    "world": {"nouns": 100, "people": 20, "places": 10},
    "domains": {"wiki": {"sentences": 400}},
    "parallel": {"heldout": 60, "paraphrase": 0, "train": 300},
    "ner": {"train": 40, "dev": 20, "test": 20},
    "ud": {"train": 40, "dev": 20, "test": 20},
    "nli": {"train": 9, "dev": 3, "test": 3},
    "topics": {"train": 5, "dev": 5, "test": 5},
    "languages": {"aa": {}, "bb": {"preset": "near"}},
}
GEOMETRY = {
    "variants": ["monolingual"],
    "train": "train",
    "words": {"maximum_words": 200, "resamples": 0, "static_width": 8},
    "sentences": {"test": ["heldout"], "resamples": 0},
    "similarity": {"datasets": ["heldout"], "measures": ["cka"], "resamples": 0},
    "context": {"ner": {"epochs": 1, "layers": [1], "new_layers": 1, "encoder_rates": [1e-3]}},
}


@pytest.fixture
def geometry_study(tmp_path, make_study):
    """Return a function that writes the study of a constructed world with some geometry."""
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(WORLD))

    def write(geometry, **changes):
        given = {
            "world": "world.yaml",
            "pairs": ["aa-bb"],
            "vocabulary": {"kind": "joint", "size": 300},
            "pretraining": {"steps": 4},
            "probe": {"datasets": ["heldout"]},
            "variants": {"default": {}, "monolingual": {}},
            "geometry": geometry,
            **changes,
        }
        return make_study(tmp_path / "geometry.yaml", **given)

    return write


def plan_of(path):
    return Planner(StudyConfig.load(path), None).plan()


def geometry_jobs(plan):
    stages = ("align-words", "align-sentences", "align-context", "similarity")
    return {job.stage: job for job in plan.jobs if job.stage in stages}


def test_each_named_part_is_a_job_of_each_named_variant(geometry_study):
    plan = plan_of(geometry_study(GEOMETRY))
    jobs = geometry_jobs(plan)
    assert set(jobs) == {"align-words", "align-sentences", "align-context", "similarity"}
    (trained,) = (run.pretrain for run in plan.runs if run.variant == "monolingual")
    assert all(job.parents == {"pretrain": trained.folder} for job in jobs.values())
    assert all(job.settings["languages"] == ["aa", "bb"] for job in jobs.values())
    assert jobs["align-words"].settings["text"] == {"aa": ["wiki"], "bb": ["wiki"]}
    assert jobs["align-context"].settings["train"] == "train"
    assert set(geometry_jobs(plan_of(geometry_study({"words": {}})))) == {"align-words"}


def test_geometry_leaves_every_other_job_as_it_was(geometry_study):
    without = {job.folder for job in plan_of(geometry_study(None)).jobs}
    plan = plan_of(geometry_study(GEOMETRY))
    added = {job.folder for job in geometry_jobs(plan).values()}
    assert {job.folder for job in plan.jobs} - added == without
    changed = {**GEOMETRY, "words": {"maximum_words": 100}}
    other = {job.folder for job in geometry_jobs(plan_of(geometry_study(changed))).values()}
    assert {name.split("/")[0] for name in added ^ other} == {"align-words"}


def test_seeds_choose_among_those_of_the_variants(geometry_study):
    plan = plan_of(geometry_study({**GEOMETRY, "seeds": [2]}, seeds=[1, 2, 3]))
    measured = {run.seed for run in plan.runs if any("align" in job.stage for job in run.scores)}
    assert measured == {2}


def test_languages_made_from_another_have_no_task_to_carry_over(geometry_study):
    variants = {"monolingual": {"preset": "monolingual", "derive": "same"}}
    jobs = geometry_jobs(plan_of(geometry_study(GEOMETRY, variants=variants)))
    assert set(jobs) == {"align-words", "align-sentences", "similarity"}
    assert jobs["align-words"].settings["text"] == {"aa": ["wiki"], "aa_same": ["wiki"]}


@pytest.mark.parametrize(
    ("geometry", "message"),
    [
        ({"variants": ["absent"], "words": {}}, r"geometry\.variants: no variant absent"),
        ({"sentences": {}}, r"name a set with train"),
        ({"words": {"languages": ["aa", "bb"]}}, r"geometry\.words\.languages: the study decides"),
        ({"words": {"maximum_word": 1}}, r"geometry\.words: .*maximum_word"),
        ({"train": "train", "context": {"ner": {"regime": "full"}}}, r"geometry\.context\.ner"),
    ],
)
def test_faults_name_the_key(geometry_study, geometry, message):
    with pytest.raises(XlingError, match=message):
        StudyConfig.load(geometry_study(geometry))


def test_a_model_is_not_measured_on_what_it_learnt_from(geometry_study):
    told = {"default": {"pretraining": {"tlm": {"sets": ["heldout"]}}}}
    geometry = {"variants": ["default"], "similarity": {"datasets": ["heldout"]}}
    with pytest.raises(XlingError, match=r"heldout is in geometry\.similarity\.datasets too"):
        StudyConfig.load(geometry_study(geometry, variants=told, probe={"datasets": ["train"]}))


@pytest.mark.slow
def test_every_part_runs_and_its_scores_are_in_the_table(geometry_study, tmp_path):
    path = geometry_study(GEOMETRY, variants={"monolingual": {}}, probe={"random_seeds": []})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "xling", "study", "run", str(path), "--out", str(out)]
    result = subprocess.run(
        [*command, "--jobs", "2"], capture_output=True, text=True, check=False, timeout=300
    )
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(out / "results.csv")
    expected = {"lexicon-context", "alignment-sentences", "similarity", "context-ner"}
    assert expected <= set(table["probe"])
    through = table[(table["probe"] == "context-ner") & (table["metric"] == "f1")]
    through = through[through["condition"] == "trained"]
    assert set(through["language"]) == {"aa", "bb"}
    assert set(through["layer"]) == {1}
    again = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=False)
    assert "nothing to do" in again.stdout


def test_words_of_the_set_belong_to_the_job_that_learns_from_them(tmp_path, make_study):
    for name in ("text/wiki", "parallel/train", "parallel/heldout"):
        for language in ("aa", "bb"):
            path = tmp_path / "data" / name / f"{language}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("ab cd\n")
    for language, split in (("aa", "train"), ("aa", "dev"), ("aa", "test"), ("bb", "test")):
        path = tmp_path / "data/ner" / language / f"{split}.iob2"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ab\tO\n\n")
    study = make_study(
        tmp_path / "given.yaml",
        pairs=["aa-bb"],
        vocabulary={"kind": "joint", "size": 300},
        pretraining={"steps": 4},
        variants={"monolingual": {}},
        geometry={key: GEOMETRY[key] for key in ("variants", "train", "sentences", "context")},
    )

    def jobs():
        plan = Planner(StudyConfig.load(study), tmp_path / "data").plan()
        return {stage: job.folder for stage, job in geometry_jobs(plan).items()}

    before = jobs()
    words = tmp_path / "data/parallel/train/bb.words"
    words.write_text("a b cd\n")
    with_words = jobs()
    words.write_text("ab c d\n")
    assert len({found["align-context"] for found in (before, with_words, jobs())}) == 3
    assert before["align-sentences"] == with_words["align-sentences"]
