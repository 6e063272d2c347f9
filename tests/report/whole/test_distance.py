"""Scores stand at the distance of their languages, and unknown distances are left out."""

import json
import shutil
from pathlib import Path

import pytest

from xling.report.distance import distance_figure, language_distances
from xling.report.load import load_study
from xling.report.scores import split_scores

# docs/conlang.md
DOCUMENTED = {"aa-near": 0.25, "aa-mid": 0.56, "aa-far": 0.66}


@pytest.fixture(scope="module")
def part(whole: Path):
    study = load_study(whole)
    split = split_scores(study.results)
    return distance_figure(study, split)


def test_distances_are_those_that_the_documentation_gives(whole: Path) -> None:
    found = language_distances(load_study(whole))
    assert found == pytest.approx(DOCUMENTED, abs=0.005)


def test_a_task_is_drawn_at_the_distance_of_its_languages(part, whole: Path) -> None:
    (figure,) = part.figures
    (panel,) = (panel for panel in figure.panels if "NER" in panel.title)
    rows = [r for r in panel.spec["data"]["values"] if r["encoder"] == "trained"]
    results = load_study(whole).results
    chosen = results[results["probe"].eq("transfer-ner") & results["metric"].eq("f1")]
    chosen = chosen[chosen["condition"].eq("trained")]
    chosen = chosen[chosen["language"].ne("aa")]
    expected = chosen.groupby(["variant", "pair"])["value"].mean().to_dict()
    assert {(r["variant"], r["pair"]): r["value"] for r in rows} == pytest.approx(expected)
    for row in rows:
        assert row["distance"] == pytest.approx(DOCUMENTED[row["pair"]], abs=0.005)
    random = [r["value"] for r in panel.spec["data"]["values"] if r["encoder"] == "untrained"]
    assert random == pytest.approx([0.35] * 9)


def test_every_panel_is_valid_and_described_from_near_to_far(part, is_valid) -> None:
    (figure,) = part.figures
    for panel in figure.panels:
        is_valid(panel)
    (panel,) = (panel for panel in figure.panels if "NLI" in panel.title)
    assert "default, trained: 0.685, 0.585, 0.485." in panel.description
    assert part.missing == ()


def test_unknown_distances_are_left_out_and_named(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "study"))
    path = folder / "plan.json"
    plan = json.loads(path.read_text())
    del plan["jobs"]["data/world"]["settings"]["languages"]["mid"]
    path.write_text(json.dumps(plan))
    study = load_study(folder)
    split = split_scores(study.results)
    part = distance_figure(study, split)
    assert "The distance of aa-mid is not known" in part.missing[0]
    drawn = {row["pair"] for row in part.figures[0].panels[0].spec["data"]["values"]}
    assert drawn == {"aa-near", "aa-far"}
    path.unlink()
    assert distance_figure(load_study(folder), split).figures == ()


def test_a_copy_of_a_language_is_at_no_distance(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "study"))
    path = folder / "plan.json"
    plan = json.loads(path.read_text())
    plan["jobs"]["derive/x"] = {
        "stage": "derive",
        "settings": {"languages": {"far": {"of": "aa", "how": "same"}}},
    }
    path.write_text(json.dumps(plan))
    assert language_distances(load_study(folder))["aa-far"] == 0.0
