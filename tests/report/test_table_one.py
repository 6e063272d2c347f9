"""Transfer beside the paper's numbers, and the ledger's place on the page."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from xling.report.ledger_section import ledger, study_pairs
from xling.report.table_one import table_one

from xling.report.load import Study, load_study
from xling.results import Score, as_table, joined, write_scores

MINUS = "\N{MINUS SIGN}"


@pytest.fixture
def study(make_study: Callable[..., Path]) -> Callable[..., Study]:
    """A function that makes a study of inference with the given `like`."""

    def make(like: dict[str, str]) -> Study:
        pairs = ("aa-far", "aa-near", "aa-mid")
        folder = make_study(pairs=pairs, seeds=(1,))
        tables = [
            (
                {"study": "demo", "variant": variant, "pair": pair, "seed": 1},
                as_table([Score("transfer-nli", "nli", pair[3:], metric="accuracy", value=value)]),
            )
            for variant, value in (("default", 0.6), ("no-anchors", 0.5))
            for pair in pairs
        ]
        write_scores(joined(tables), folder / "results.csv")
        record = json.loads((folder / "study.json").read_text())
        record["config"]["like"] = like
        (folder / "study.json").write_text(json.dumps(record))
        return load_study(folder)

    return make


def test_each_pair_has_the_published_number_of_what_it_stands_for(
    study: Callable[..., Study],
) -> None:
    here = study({"aa-near": "fr", "aa-mid": "ru", "aa-far": "zh"})
    assert study_pairs(here) == ["aa-near", "aa-mid", "aa-far"]
    (table,) = table_one(here)
    assert table.columns == ("", "near", "mid", "far", "all pairs")
    last = [row[0].text for row in table.rows].index("no-anchors")
    notes = [cell.notes[-1] for cell in table.rows[last][1:]]
    assert notes == [
        f"paper 0.721 ({MINUS}0.015)",
        f"paper 0.675 ({MINUS}0.012)",
        f"paper 0.677 ({MINUS}0.006)",
        f"paper 0.691 ({MINUS}0.011)",
    ]
    assert table.rows[last][1].notes[0] == f"Δ {MINUS}0.100"


def test_without_correspondence_no_number_of_the_paper_is_shown(
    study: Callable[..., Study],
) -> None:
    here = study({})
    assert study_pairs(here) == ["aa-far", "aa-near", "aa-mid"]
    (table,) = table_one(here)
    assert not [
        note for row in table.rows for cell in row for note in cell.notes if "paper" in note
    ]
    assert "`like`" in table.note


def test_the_ledger_says_what_lacks_intervals(study: Callable[..., Study]) -> None:
    found = ledger(study({}))
    assert f"{len(found.measured)} can be tested" in found.answer
    assert len(found.measured) + len(found.left) == len(found.outcomes)
    assert any("no interval at all" in sentence for sentence in found.unsure)
