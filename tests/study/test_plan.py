"""The jobs of a study: each once, named by all that decides its output and nothing else."""

import json
import subprocess
import sys

import pytest
import yaml

from xling.conlang.spec import ConlangSpec
from xling.errors import XlingError
from xling.study.config import StudyConfig
from xling.study.plan import Planner, plan_as_json

WORLD = {
    "seed": 3,
    "domains": {"wiki": {"sentences": 50}},
    "languages": {"bb": {"preset": "near"}},
}


def plan_of(path, data):
    return Planner(StudyConfig.load(path), data).plan()


def folders(plan, stage):
    return [job.folder for job in plan.jobs if job.stage == stage]


def test_runs_share_the_parents_that_are_equal(study_file, data):
    variants = {
        "default": {},
        "deeper": {"model": {"layers": 3}},
        "no-anchors": {"preset": "no-anchors", "vocabulary": {"size": 160}},
    }
    plan = plan_of(study_file(variants=variants, seeds=[1, 2]), data)
    assert len(plan.runs) == 6
    assert len({job.folder for job in plan.jobs}) == len(plan.jobs)
    count = {
        stage: len(folders(plan, stage)) for stage in ("vocabulary", "tokens", "pretrain", "probe")
    }
    assert count == {"vocabulary": 2, "tokens": 2, "pretrain": 6, "probe": 6}
    by_variant = {run.variant: run.tokens.folder for run in plan.runs}
    assert by_variant["default"] == by_variant["deeper"] != by_variant["no-anchors"]
    seeds = [run.pretrain.settings["pretraining"]["seed"] for run in plan.runs]
    assert sorted(seeds) == [1, 1, 1, 2, 2, 2]


def test_parents_come_before_children_and_exist(study_file, data):
    seen = set()
    for job in plan_of(study_file(), data).jobs:
        assert set(job.parents.values()) <= seen
        seen.add(job.folder)


@pytest.mark.parametrize(
    ("changes", "renamed"),
    [
        ({"title": "Other words", "threads": 2}, set()),
        ({"probe": {"resamples": 5}}, {"probe"}),
        ({"model": {"layers": 3}}, {"pretrain", "probe"}),
        ({"tokens": {"dev_share": 0.2}}, {"tokens", "pretrain", "probe"}),
        (
            {"vocabulary": {"coverage": 0.99}},
            {"vocabulary", "tokens", "pretrain", "probe"},
        ),
    ],
    ids=lambda value: "-".join(sorted(value)) or "nothing",
)
def test_a_change_renames_what_depends_on_it_and_nothing_else(study_file, data, changes, renamed):
    before = plan_of(study_file(), data)
    after = plan_of(study_file(**changes), data)
    stages = ("vocabulary", "tokens", "pretrain", "probe")
    assert {s for s in stages if folders(before, s) != folders(after, s)} == renamed


def test_changed_text_and_changed_parallel_lines(study_file, tmp_path, make_data, make_lines):
    data = make_data(tmp_path / "data", {"en": 1, "fr": 2})
    path = study_file()
    before = plan_of(path, data)
    make_lines(data / "parallel" / "held-out" / "fr.txt", "fr", 60, 5)
    probes = plan_of(path, data)
    assert folders(probes, "pretrain") == folders(before, "pretrain")
    assert not set(folders(probes, "probe")) & set(folders(before, "probe"))
    make_lines(data / "text" / "wiki" / "fr.txt", "fr", 400, 5)
    text = plan_of(path, data)
    assert not {job.folder for job in text.jobs} & {job.folder for job in before.jobs}


def test_names_are_the_same_in_every_process(study_file, data):
    path = study_file()
    code = (
        "import json, sys\nfrom pathlib import Path\n"
        "from xling.study.config import StudyConfig\nfrom xling.study.plan import Planner\n"
        "plan = Planner(StudyConfig.load(Path(sys.argv[1])), Path(sys.argv[2])).plan()\n"
        "print(json.dumps([job.folder for job in plan.jobs]))"
    )
    found = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code, str(path), str(data)],
                env={"PYTHONHASHSEED": seed, "PATH": ""},
                capture_output=True,
                check=True,
            ).stdout
        )
        for seed in ("1", "2")
    ]
    assert found[0] == found[1] == [job.folder for job in plan_of(path, data).jobs]


def world_study(study_file, tmp_path, spec=WORLD, **changes):
    (tmp_path / "world.yaml").write_text(yaml.safe_dump(spec))
    return study_file(world="world.yaml", pairs=["aa-bb"], **changes)


def test_a_world_is_a_job_of_its_own_and_decides_all_others(study_file, tmp_path):
    plan = plan_of(world_study(study_file, tmp_path), None)
    assert plan.jobs[0].stage == "data"
    assert plan.data == plan.jobs[0].folder
    written = yaml.safe_load(yaml.safe_dump(dict(plan.jobs[0].settings)))
    assert ConlangSpec.parse(written, "") == ConlangSpec.load(tmp_path / "world.yaml")
    reworded = {key: WORLD[key] for key in reversed(WORLD)}
    assert plan_of(world_study(study_file, tmp_path, reworded), None).jobs == plan.jobs
    other = plan_of(world_study(study_file, tmp_path, {**WORLD, "seed": 4}), None)
    assert not {job.folder for job in other.jobs} & {job.folder for job in plan.jobs}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"pairs": ["aa-cc"]}, "no language cc for the pair aa-cc; its languages are aa, bb"),
        ({"text": ["web"]}, "no domain for the text 'web'; its domains are wiki"),
    ],
)
def test_a_world_without_what_the_study_needs(study_file, tmp_path, changes, fault):
    path = world_study(study_file, tmp_path)
    path = study_file(**{"world": "world.yaml", "pairs": ["aa-bb"], **changes})
    with pytest.raises(XlingError, match=rf"world\.yaml: {fault}"):
        plan_of(path, None)


def test_a_world_that_is_missing_or_wrong(study_file, tmp_path):
    with pytest.raises(XlingError, match=r"world\.yaml: not found"):
        plan_of(study_file(world="world.yaml"), None)
    with pytest.raises(XlingError, match=r"world\.yaml: colour"):
        plan_of(world_study(study_file, tmp_path, {**WORLD, "colour": 1}), None)


def test_data_without_what_the_study_needs(study_file, tmp_path, make_data, make_lines):
    data = make_data(tmp_path / "data", {"en": 1})
    with pytest.raises(XlingError, match=r"fr\.txt"):
        plan_of(study_file(), data)
    make_lines(data / "text" / "wiki" / "fr.txt", "fr", 10, 2)
    with pytest.raises(XlingError, match="no parallel set has en and fr"):
        plan_of(study_file(), data)


def test_a_plan_as_json_holds_every_job_with_its_output(study_file, data):
    plan = plan_of(study_file(), data)
    content = json.loads(json.dumps(plan_as_json(plan)))["jobs"]
    assert list(content) == [job.folder for job in plan.jobs]
    for job in plan.jobs:
        assert content[job.folder]["output"].startswith(f"{job.folder}/")
        assert content[job.folder]["settings"] == job.settings


def test_tasks_are_fine_tuned_on_the_base_with_the_seed_of_the_model(
    make_study, make_data, tmp_path
):
    data = make_data(tmp_path / "data", {"en": 1, "fr": 2})
    for language, splits in {"en": ("train", "dev"), "fr": ("test",)}.items():
        for split in splits:
            path = data / "topics" / language / f"{split}.tsv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("1\tsport\tgame\n")
    variants = {"default": {"seeds": [1, 2]}, "no-anchors": {}}
    path = make_study(
        tmp_path / "s.yaml", variants=variants, transfer={"topics": {"epochs": 2}}, seeds=[3]
    )
    plan = plan_of(path, data)
    found = [(job.name.split("/")[1], job.settings) for job in plan.jobs if job.stage == "transfer"]
    assert [(name, settings["seeds"]) for name, settings in found] == [
        ("default", [1]),
        ("default", [2]),
        ("no-anchors", [3]),
    ]
    assert found[0][1]["epochs"] == 2
    assert (found[0][1]["source"], found[0][1]["targets"]) == ("en", ["fr"])
    before = folders(plan, "transfer")
    (data / "topics" / "fr" / "test.tsv").write_text("1\tsport\tmatch\n")
    assert not set(folders(plan_of(path, data), "transfer")) & set(before)
    (data / "topics" / "fr" / "test.tsv").unlink()
    with pytest.raises(XlingError, match=r"fr/test\.tsv .*not found; topics has en"):
        plan_of(path, data)


@pytest.mark.parametrize(
    ("transfer", "message"),
    [
        ({"topics": {"seeds": [2]}}, r"transfer\.topics\.seeds: the study's pairs and seeds"),
        ({"topics": {"epoch": 2}}, r"transfer\.topics: .*epoch"),
        ({"tagging": {}}, r"transfer\.tagging"),
    ],
)
def test_faults_in_tasks_are_found_before_anything_runs(make_study, tmp_path, transfer, message):
    with pytest.raises(XlingError, match=message):
        StudyConfig.load(make_study(tmp_path / "s.yaml", transfer=transfer))
