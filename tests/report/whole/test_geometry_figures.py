"""Figures 4 to 8 show the models they are about, and name what is missing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from xling.report.charts import Panel
from xling.report.geometry_figures import Geometry, geometry
from xling.report.load import Study, load_study


@pytest.fixture(scope="module")
def study(whole: Path) -> Study:
    return load_study(whole)


@pytest.fixture(scope="module")
def part(study: Study) -> Geometry:
    return geometry(study)


def without(study: Study, probe: str = "", variant: str = "", pair: str = "") -> Study:
    """The study without the rows of a probe, variant and pair; each empty one means all."""
    results, drop = study.results, True
    for column, value in (("probe", probe), ("variant", variant), ("pair", pair)):
        drop = drop & (results[column].eq(value) | (value == ""))
    return replace(study, results=results[~drop])


def curves(part: Geometry, name: str) -> set[tuple[str, str]]:
    (figure,) = (figure for figure in part.figures if figure.name == f"geometry-{name}")
    rows = [row for panel in figure.panels for row in panel.spec["data"]["values"]]
    return {(row["variant"], row["encoder"]) for row in rows}


def test_all_figures_are_there_in_order_and_nothing_is_missing(
    part: Geometry, is_valid: Callable[[Panel], None]
) -> None:
    assert [figure.title.split(". ", 2)[:2] for figure in part.figures[:-1]] == [
        ["Fig", number]
        for number in (*("4b", "5, entities", "5, parsing", "6", "7", "8, entities", "8, parsing"),)
    ]
    assert part.missing == ()
    for kind in (part.figures[0], part.figures[-1]):  # lines by layer, and points
        is_valid(kind.panels[0])
    assert part.embedding is not None
    for figure in part.figures[:-1]:
        assert [panel.pair for panel in figure.panels] == ["aa-near", "aa-mid", "aa-far"]


def test_independent_models_go_through_a_map_and_bilingual_ones_are_cut(part: Geometry) -> None:
    assert curves(part, "context-ner") == {
        ("monolingual", "trained"),
        ("monolingual", "untrained"),
        ("default", "unmapped"),
    }
    assert curves(part, "mapped-parsing") == {
        ("default", encoder) for encoder in ("trained", "untrained", "unmapped")
    }


def test_the_correlation_is_that_of_every_layer_and_model(part: Geometry) -> None:
    (figure,) = (figure for figure in part.figures if figure.name == "geometry-correlation")
    assert figure.panels[0].title == "heldout: r = 1.00 (1.00 to 1.00)"
    assert "60 points" in figure.panels[0].description


@pytest.mark.slow
def test_what_is_missing_is_named(study: Study) -> None:
    part = geometry(without(study, "similarity"))
    assert "Fig. 7: no scores of similarity." in part.missing
    assert "CKA against retrieval: no layer has scores of both." in part.missing
    assert all(figure.name != "geometry-similarity" for figure in part.figures)
    lacks = geometry(without(study, "context-ner", "monolingual", "aa-mid")).missing
    assert "Fig. 5, entities: no monolingual for aa-mid." in lacks
    alone = geometry(without(study, "context-ner", "monolingual")).missing
    assert "Fig. 5, entities: no independent models." in alone
    bare = replace(study, results=study.results[study.results["probe"].eq("retrieval")])
    (sentence,) = geometry(bare).missing
    assert "no scores of aligned or compared models" in sentence


def test_directions_and_their_intervals_stand_beside_their_mean(part: Geometry) -> None:
    (figure,) = (figure for figure in part.figures if figure.name == "geometry-sentences")
    point = next(
        row
        for row in figure.panels[0].spec["data"]["values"]
        if (row["variant"], row["encoder"], row["layer"]) == ("default", "trained", 1)
    )
    assert point["value"] == pytest.approx(0.73 - 0.015)
    assert point["detail"] == "aa>near 0.735, near>aa 0.695"
    assert point["high"] - point["low"] == pytest.approx(0.06, abs=1e-4)
