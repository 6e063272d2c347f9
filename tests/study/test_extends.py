"""Study files that extend others: the same study as one written out, and faults by their file."""

import pytest
import yaml

from xling.errors import XlingError
from xling.study.config import StudyConfig
from xling.study.extends import merged


@pytest.fixture
def write(tmp_path):
    """Return a function that writes a file below the test's folder."""

    def to(file: str, **content):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return to


def test_a_chain_is_the_study_written_out(study_file, write, tmp_path):
    study_file(world="worlds/w.yaml")
    write(
        "below/middle.yaml",
        extends="../tiny.yaml",
        name="middle",
        pretraining={"optimizer": {"learning_rate": 0.01}},
        variants={"sep-emb": {}, "default": {"seeds": [1, 2]}},
    )
    top = write(
        "top.yaml",
        extends="below/middle.yaml",
        name="top",
        text={"en": ["wiki"], "fr": ["web"]},
        seeds=[4],
        variants={"no-anchors": {"seeds": [7]}},
        transfer={"topics": {"epochs": 2}},
    )
    found = StudyConfig.load(top)
    written_out = study_file(
        name="top",
        world="worlds/w.yaml",
        text={"en": ["wiki"], "fr": ["web"]},
        seeds=[4],
        pretraining={
            "optimizer": {"name": "adamw", "learning_rate": 0.01, "warmup_steps": 2},
        },
        variants={
            "default": {"seeds": [1, 2]},
            "no-anchors": {"preset": "no-anchors", "vocabulary": {"size": 160}, "seeds": [7]},
            "sep-emb": {},
        },
        transfer={"topics": {"epochs": 2}},
    )
    assert found == StudyConfig.load(written_out)
    assert found.world.resolve() == (tmp_path / "worlds" / "w.yaml").resolve()


def test_worlds_lie_beside_the_file_that_names_them(study_file, write, tmp_path):
    study_file(world="w.yaml")
    path = write("below/child.yaml", extends="../tiny.yaml", name="child")
    assert StudyConfig.load(path).world.resolve() == (tmp_path / "w.yaml").resolve()
    path = write("below/child.yaml", extends="../tiny.yaml", name="child", world="own.yaml")
    assert StudyConfig.load(path).world == tmp_path / "below" / "own.yaml"


@pytest.mark.parametrize(
    ("base", "changes", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"text": {"en": ["a"]}}, {"text": {"fr": ["b"]}}, {"text": {"fr": ["b"]}}),
        ({"a": {"b": 1}}, {"a": None}, {"a": {"b": 1}}),
        ({"a": {"b": 1}}, {"a": 5}, {"a": 5}),
        (
            {"variants": ["default", "sep-emb"]},
            {"variants": {"default": {"seeds": [2]}}},
            {"variants": {"default": {"seeds": [2]}, "sep-emb": {}}},
        ),
        ({"variants": {"x": {"seeds": [1]}}}, {"variants": ["y"]}, {"variants": ["y"]}),
    ],
)
def test_mappings_are_merged_and_lists_replaced(base, changes, expected):
    before = yaml.safe_dump(base)
    assert merged(base, changes) == expected
    assert yaml.safe_dump(base) == before


def test_a_circle_is_refused_with_its_files(write):
    one = write("one.yaml", extends="two.yaml", name="one")
    two = write("two.yaml", extends="below/../three.yaml", name="two")
    write("three.yaml", extends="one.yaml", name="three")
    (one.parent / "below").mkdir()
    with pytest.raises(XlingError, match=r"circle \(.*one\.yaml -> .*two\.yaml -> .*three\.yaml"):
        StudyConfig.load(one)
    with pytest.raises(XlingError, match="circle"):
        StudyConfig.load(two)
    itself = write("itself.yaml", extends="itself.yaml", name="itself")
    with pytest.raises(XlingError, match=r"circle \(.*itself\.yaml -> .*itself\.yaml\)"):
        StudyConfig.load(itself)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("none.yaml", r"child\.yaml: extends: .*none\.yaml not found"),
        (["tiny.yaml"], r"child\.yaml: extends: expected the path of one"),
        ("list.yaml", r"list\.yaml: expected a mapping"),
    ],
)
def test_what_cannot_be_extended(study_file, write, tmp_path, written, fault):
    study_file()
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(XlingError, match=fault):
        StudyConfig.load(write("child.yaml", extends=written, name="child"))


def test_a_name_is_not_inherited(study_file, write):
    study_file()
    path = write("child.yaml", extends="tiny.yaml", seeds=[2])
    with pytest.raises(XlingError, match=r"child\.yaml: name: missing"):
        StudyConfig.load(path)


IN_THE_BASE = r"tiny\.yaml \(which .*child\.yaml extends\): "


@pytest.mark.parametrize(
    ("below", "own", "fault"),
    [
        ({"colour": 1}, {}, IN_THE_BASE + "colour: unknown"),
        ({}, {"colour": 1}, r"^\S*child\.yaml: colour: unknown"),
        ({"probe": {"lines": 1}}, {"seeds": []}, IN_THE_BASE + r"probe\.lines: unknown"),
        ({"probe": {"lines": 1}}, {"seeds": []}, r"(?m)^\S*child\.yaml: seeds: "),
        # A variant of the one file with a setting of the other
        (
            {"model": {"layers": 0}},
            {"variants": {"x": {"seeds": [1]}}},
            IN_THE_BASE + r"variants\.\S+: model\.layers",
        ),
        (
            {},
            {"variants": {"x": {"model": {"layers": 0}}}},
            r"^\S*child\.yaml: variants\.x: model\.layers",
        ),
        ({"pairs": ["en"]}, {}, IN_THE_BASE + "pairs: 'en'"),
        ({"transfer": {"topics": {"epoch": 1}}}, {}, IN_THE_BASE + r"transfer\.topics: epoch"),
        ({}, {"variants": {"y": {"preset": "z"}}}, r"^\S*child\.yaml: variants\.y: no preset 'z'"),
        ({"variants": {"y": {"preset": "z"}}}, {}, IN_THE_BASE + r"variants\.y: no preset 'z'"),
    ],
)
def test_faults_name_the_file_they_stand_in(study_file, write, below, own, fault):
    study_file(**below)
    with pytest.raises(XlingError, match=fault):
        StudyConfig.load(write("child.yaml", extends="tiny.yaml", name="child", **own))
