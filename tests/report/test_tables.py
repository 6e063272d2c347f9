"""Tables of scores hold every score, marked as the comparison says."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xling.report.load import Study, load_study
from xling.report.scores import average, compare, split_scores
from xling.report.tables import (
    Table,
    coverage_table,
    other_table,
    score_tables,
    standing_tables,
)
from xling.results import Score, as_table, joined


@pytest.fixture
def study(make_study: Callable[..., Path]) -> Study:
    return load_study(make_study(seeds=(1, 2)))


def texts(table: Table, row: int = 0) -> list[str]:
    return [cell.text for cell in table.rows[row]]


def test_standing_tables_mark_every_layer(study: Study) -> None:
    comparison = compare(average(split_scores(study.results)))
    retrieval, similarity = standing_tables(comparison, "en-fr")
    assert retrieval.columns == ("variant", "data set", "tokens", *(f"layer {n}" for n in range(5)))
    marks = {"above": "▲", "unclear": "=", "below": "▼"}
    for table, measure in ((retrieval, "p@1"), (similarity, "cka")):
        for row in table.rows:
            variant, dataset, tokens = (cell.text for cell in row[:3])
            chosen = comparison[
                comparison["variant"].eq(variant)
                & comparison["dataset"].eq(dataset)
                & comparison["tokens"].eq(tokens)
                & comparison["measure"].eq(measure)
            ].set_index("layer")
            for layer, cell in enumerate(row[3:]):
                assert cell.kind == chosen.loc[layer, "standing"]
                assert cell.text == f"{chosen.loc[layer, 'value']:.3f} {marks[cell.kind]}"


def test_score_tables_hold_every_encoder_and_measure(study: Study) -> None:
    tables = score_tables(average(split_scores(study.results)), "en-fr")
    assert len(tables) == 8
    names = {tuple(texts(tables[0], row)[:3]) for row in range(len(tables[0].rows))}
    measures = ("retrieval", "retrieval, centred")
    encoders = ("trained", "untrained", "chance")
    assert names == {
        (v, m, e) for v in ("default", "no-anchors") for m in measures for e in encoders
    }


def test_scores_without_a_place_of_their_own_are_shown(study: Study) -> None:
    assert other_table(study.results) is None
    score = Score("nli", "xnli", "fr", condition="untrained", metric="accuracy", value=0.614)
    run = {"study": "demo", "variant": "default", "pair": "en-fr", "seed": 1}
    frame = joined([(run, as_table([score]))])
    table = other_table(pd.concat([study.results, frame], ignore_index=True))
    assert [text for text in texts(table) if text] == [
        *("default", "en-fr", "1", "nli", "xnli", "fr", "untrained", "accuracy", "0.614"),
    ]
    assert len(table.columns) == len(texts(table)) == 12


def test_coverage(study: Study) -> None:
    table = coverage_table(study.results)
    assert texts(table, 0)[2:] == ["1, 2", "pud", "en-fr", "1,000", "–"]
    assert texts(table, 1)[4:] == ["en", "–", "61.0%"]
    assert coverage_table(study.results[study.results["probe"].ne("coverage")]) is None
