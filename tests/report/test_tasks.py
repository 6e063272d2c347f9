"""Tables of tasks: what stands where, over pairs, seeds and conditions."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from xling.report.claims.written import claims_of, study_pairs
from xling.report.coverage import cut_lines
from xling.report.load import Study, load_study
from xling.report.tables import Table
from xling.report.tasks import task_tables, transfer_scores
from xling.results import Score, as_table, joined, write_scores

MINUS = "\N{MINUS SIGN}"


def results() -> pd.DataFrame:
    tables = []
    for variant, shift in (("default", 0.0), ("sep", -0.1)):
        for pair in ("en-fr", "en-ru"):
            scores = []
            for language in pair.split("-"):
                value = {"en": 0.9, "fr": 0.7, "ru": 0.5}[language] + shift
                score = Score("transfer-ner", "ner", language, metric="f1", value=value)
                scores.append(score._replace(low=value - 0.05, high=value + 0.05))
                scores += [
                    score._replace(condition=condition, value=other)
                    for condition, other in (("untrained", 0.2), ("lookup", 0.3), ("dev", 0.99))
                ]
                bare = score._replace(metric="sentences", value=200)
                scores += [bare, bare._replace(metric="truncated", value=3 * (language == "fr"))]
            run = {"study": "s", "variant": variant, "pair": pair, "seed": 1}
            tables.append((run, as_table(scores)))
    return joined(tables)


@pytest.fixture
def tables(make_study: Callable[..., Path]) -> Callable[[pd.DataFrame], list[Table]]:
    """A function that makes the tables of entities from a table of scores."""

    def make(frame: pd.DataFrame) -> list[Table]:
        folder = make_study(variants=("default", "sep"), pairs=("en-fr", "en-ru"))
        write_scores(frame, folder / "results.csv")
        study = load_study(folder)
        return task_tables(study, transfer_scores(study.results), "ner", cut_lines(study.results))

    return make


def test_columns_are_source_and_targets_of_each_pair(tables: Callable[..., list[Table]]) -> None:
    (table,) = tables(results())
    assert table.columns == ("variant", "en (source)", "fr", "en (source)", "ru", "all pairs")
    assert table.groups == (("en-fr", 2), ("en-ru", 2), ("mean of targets", 1))
    texts = [[cell.text for cell in row] for row in table.rows]
    assert texts == [
        ["default", "0.900", "0.700", "0.900", "0.500", "0.600"],
        ["sep", "0.800", "0.600", "0.800", "0.400", "0.500"],
        ["words as tagged in training", "0.300", "0.300", "0.300", "0.300", "0.300"],
    ]
    notes = table.rows[1][2].notes
    assert notes == (f"Δ {MINUS}0.100", "[0.550, 0.650]", "untrained 0.200", "2\u00a0% cut")
    assert not any("cut" in note for cell in table.rows[1][3:] for note in cell.notes)


def test_a_mean_is_given_only_over_all_targets(tables: Callable[..., list[Table]]) -> None:
    frame = results()
    frame = frame[~(frame["variant"].eq("sep") & frame["pair"].eq("en-ru"))]
    (table,) = tables(frame)
    assert [cell.text for cell in table.rows[1]][3:] == ["–", "–", "–"]


def test_the_feature_regime_is_a_table_by_layer(tables: Callable[..., list[Table]]) -> None:
    frame = pd.concat([results().assign(layer=layer) for layer in (0, 1)])
    assert [table.columns[3:] for table in tables(frame)] == [("layer 0", "layer 1")]


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


def nli_tables(study: Study) -> list[Table]:
    return task_tables(study, transfer_scores(study.results), "nli", cut_lines(study.results))


def test_each_pair_has_the_published_number_of_what_it_stands_for(
    study: Callable[..., Study],
) -> None:
    here = study({"aa-near": "fr", "aa-mid": "ru", "aa-far": "zh"})
    assert study_pairs(here) == ["aa-near", "aa-mid", "aa-far"]
    (table,) = nli_tables(here)
    assert table.columns == ("variant", "near", "mid", "far", "all pairs")
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
    (table,) = nli_tables(here)
    assert not [
        note for row in table.rows for cell in row for note in cell.notes if "paper" in note
    ]
    assert "`like`" in table.note


def test_the_claims_say_what_lacks_intervals(study: Callable[..., Study]) -> None:
    found = claims_of(study({}))
    assert f"{len(found.measured)} of the paper's" in found.answer
    assert len(found.measured) + len(found.missing) == len(found.outcomes)
    assert any("have no interval" in sentence for sentence in found.unsure)
