"""Study files: what is inherited, and every fault named by file and key."""

from pathlib import Path

import pytest

from xling.conlang.spec import ConlangSpec
from xling.data.selection import TextPart
from xling.errors import XlingError
from xling.study.config import StudyConfig, languages

SHIPPED = Path(__file__).resolve().parents[2] / "studies"
STUDIES = sorted(
    path
    for path in SHIPPED.rglob("*.yaml")
    if path.parent.name != "worlds" and path.name not in ("data.yaml", "prepare.yaml")
)
WORLDS = sorted((SHIPPED / "worlds").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_are_valid(path):
    study = StudyConfig.load(path)
    assert study.name == path.stem
    if study.world:
        world = ConlangSpec.load(study.world)
        assert {code for pair in study.pairs for code in languages(pair)} <= set(world.languages)


@pytest.mark.parametrize("path", WORLDS, ids=lambda path: path.stem)
def test_shipped_worlds_are_valid(path):
    assert ConlangSpec.load(path).languages


WIKI = TextPart(domain="wiki")


def test_something_is_shipped():
    assert {"demo", "real-mini", "small"} <= {path.stem for path in STUDIES}
    assert WORLDS


def test_a_variant_changes_only_what_it_names(study_file):
    variants = {
        "default": None,
        "separate": {"separate": ["layers 1-2"], "pretraining": {"optimizer": {"clip": 0.5}}},
        "other-text": {"text": {"en": ["wiki"], "fr": ["web"]}},
    }
    study = StudyConfig.load(study_file(variants=variants))
    default, separate = study.variant("default"), study.variant("separate")
    assert default.text_of(("en", "fr")) == {"en": (WIKI,), "fr": (WIKI,)}
    assert separate.separate == ("layers 1-2",)
    assert separate.pretraining.optimizer.clip == 0.5
    unchanged = separate.pretraining.model_copy(update={"optimizer": default.pretraining.optimizer})
    assert unchanged == default.pretraining
    assert separate.pretraining.optimizer.learning_rate == 0.001
    # Text is replaced, never merged: a list and a mapping have no common parts.
    assert study.variant("other-text").text_of(("en", "fr")) == {
        "en": (WIKI,),
        "fr": (TextPart(domain="web"),),
    }


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"colour": "red"}, "colour: unknown setting"),
        ({"text": None}, "text: it names no language, but en is needed too"),
        ({"name": "a/b"}, "name: "),
        ({"variants": {}}, "variants: "),
        ({"variants": {"a b": {}}}, r"variants\.a b.*pattern"),
        ({"variants": {"x": {"sizes": 3}}}, r"variants\.x: sizes: unknown setting"),
        (
            {"variants": {"x": {"model": {"layer": 3}}}},
            r"variants\.x: model\.layer: unknown setting",
        ),
        (
            {"variants": {"x": {"model": {"layers": 0}}}},
            r"variants\.x: model\.layers: .* \(found 0\)",
        ),
        ({"variants": {"x": {"separate": ["heads"]}}}, r"variants\.x: .*'heads'"),
        ({"variants": {"x": {"separate": ["layers 1-9"]}}}, r"variants\.x: .*layers 1-9"),
        (
            {"variants": {"x": {"pretraining": {"seed": 3}}}},
            r"variants\.x\.pretraining\.seed: .*seeds",
        ),
        ({"text": {"en": ["wiki"]}}, r"variants\.default: text: it names en, but fr is needed too"),
        ({"pairs": ["en"]}, "pairs: 'en'; expected two or more different languages"),
        ({"pairs": ["en-en"]}, "pairs: 'en-en'; expected two or more different languages"),
        ({"pairs": ["en-fr-en"]}, "pairs: 'en-fr-en'; expected two or more different"),
        ({"text": ["wiki:third"]}, "text: 'wiki:third': expected DOMAIN, DOMAIN:first-half"),
        (
            {"variants": {"x": {"vocabulary": {"kind": "separate"}}}},
            r"variants\.x: .*vocabulary\.kind: separate .* add embeddings",
        ),
        (
            {"variants": {"x": {"separate": ["embeddings"], "vocabulary": {"kind": "disjoint"}}}},
            r"variants\.x: .*separate: .*vocabulary\.kind: disjoint",
        ),
        (
            {"variants": {"x": {"pretraining": {"tlm": {"sets": ["held-out"]}}}}},
            r"variants\.x\.pretraining\.tlm\.sets: .* measured on every",
        ),
        (
            {
                "variants": {"x": {"pretraining": {"tlm": {"sets": ["more", "held-out"]}}}},
                "probe": {"datasets": ["held-out"]},
            },
            r"variants\.x\.pretraining\.tlm\.sets: held-out is in probe\.datasets too",
        ),
        ({"pairs": []}, "pairs: "),
        ({"seeds": []}, "seeds: "),
    ],
)
def test_faults_name_the_file_and_the_key(study_file, changes, fault):
    path = study_file(**changes)
    with pytest.raises(XlingError, match=fault) as caught:
        StudyConfig.load(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("content", "fault"),
    [("- a\n- b\n", "expected a mapping"), ("a: [1", "not valid YAML"), ("", "expected a mapping")],
)
def test_a_file_that_is_no_study(tmp_path, content, fault):
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(XlingError, match=fault) as caught:
        StudyConfig.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(XlingError, match=r"none\.yaml: not found"):
        StudyConfig.load(tmp_path / "none.yaml")
