"""Tables of runs hold what the runs recorded, and dashes where they did not."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from xling.report.load import Study, load_study
from xling.report.runs import (
    anchor_table,
    common_anchor_table,
    language_table,
    model_table,
    training_table,
)
from xling.report.tables import Table


@pytest.fixture
def study(make_study: Callable[..., Path]) -> Study:
    return load_study(make_study(seeds=(1, 2)))


def texts(table: Table, row: int = 0) -> list[str]:
    return [cell.text for cell in table.rows[row]]


def test_seeds_with_equal_rows_are_one_row(study: Study) -> None:
    table = model_table(study.runs, study.config)
    assert texts(table) == [
        "default",
        "en-fr",
        "1, 2",
        "4 layers × 128",
        "8,000 joint",
        "nothing",
        "1.86 million",
        "1.86 million",
    ]


def test_training_time_counts_each_stretch_once(study: Study) -> None:
    table = training_table(study.runs)
    # Eighty records of twelve seconds, each written for both languages.
    row = dict(zip(table.columns, texts(table), strict=True))
    assert (row["steps"], row["time"], row["tokens/s"]) == ("4,000", "16 min", "34,000")


def test_models_trained_in_several_precisions_are_said(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    paths = sorted((folder / "runs").rglob("preflight.json"))
    for chosen, expected in (("fp32", ["fp32"]), ("bf16", ["bf16", "fp32"])):
        for path in paths:
            facts = json.loads(path.read_text())
            path.write_text(json.dumps(facts | {"precision": "fp32"}))
        facts = json.loads(paths[-1].read_text())
        paths[-1].write_text(json.dumps(facts | {"precision": chosen}))
        table = training_table(load_study(folder).runs)
        place = table.columns.index("precision")
        assert sorted({row[place].text for row in table.rows}) == expected
        assert ("Not all models were trained in one precision" in table.note) == (len(expected) > 1)


def test_languages_and_anchors(study: Study) -> None:
    table = language_table(study.runs)
    row = dict(zip(table.columns, texts(table), strict=True))
    assert (row["language"], row["tokens per word"], row["unknown"]) == ("en", "1.32", "0.002%")
    assert texts(anchor_table(study.runs))[3:] == [
        "en and fr",
        "all",
        "2,417",
        "en 61.0%, fr 61.0%",
        "30.5%",
    ]
    common = [[cell.text for cell in row] for row in common_anchor_table(study.runs).rows]
    assert [row[3:] for row in common] == [["homographs", "▁de  ▁<b>"], ["punctuation", "▁,"]]


def test_runs_without_files_show_dashes(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    for path in (folder / "runs").rglob("*.json*"):
        path.unlink()
    for path in (folder / "tokens").rglob("report.json"):
        path.write_text('{"languages": 3, "anchors": {"all": null}, "vocabulary": []}')
    study = load_study(folder)
    assert texts(model_table(study.runs, {}))[3:] == ["–"] * 5
    assert set(texts(training_table(study.runs))[3:]) == {"–"}
    assert set(texts(language_table(study.runs))[4:]) == {"–"}
    assert not anchor_table(study.runs).rows
