"""Every chart is valid Vega-Lite and holds the numbers it should."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import vl_convert
from jsonschema import ValidationError

from xling.report.charts import COLOURS, INK, Figure, Panel, chart_config, swatch
from xling.report.figures import all_figures
from xling.report.load import Study, load_study
from xling.report.scores import average, split_scores


@pytest.fixture(scope="module")
def study(two_pairs: Path) -> Study:
    return load_study(two_pairs)


@pytest.fixture(scope="module")
def figures(study: Study) -> tuple[Figure, ...]:
    return all_figures(study, average(split_scores(study.results)))


def test_each_pair_has_retrieval_similarity_and_training(figures: tuple[Figure, ...]) -> None:
    names = [figure.name for figure in figures]
    kinds = ("retrieval", "cka", "training")
    assert names == [f"{kind}-{pair}" for pair in ("en-fr", "en-ru") for kind in kinds]
    retrieval = figures[0]
    assert retrieval.columns == 2
    assert [panel.title for panel in retrieval.panels] == [
        "pud, all tokens",
        "tatoeba-fr, all tokens",
        "pud, anchor-free",
        "tatoeba-fr, anchor-free",
    ]


def test_every_specification_is_valid_and_compiles(
    figures: tuple[Figure, ...], is_valid: Callable[[Panel], None]
) -> None:
    for figure in figures[:3]:
        for panel in figure.panels:
            is_valid(panel)
            compiled = vl_convert.vegalite_to_vega({**panel.spec, "config": chart_config()})
            signals = {signal["name"] for signal in compiled["signals"]}
            assert "hidden" in signals
            assert ("measure" in signals) == (not figure.name.startswith("training"))


@pytest.mark.parametrize("form", ["spec", "drawing"])
def test_a_broken_specification_would_be_found(
    figures: tuple[Figure, ...], is_valid: Callable[[Panel], None], form: str
) -> None:
    panel = figures[0].panels[0]
    broken = {**getattr(panel, form), "layer": [{"mark": "no such mark"}]}
    with pytest.raises(ValidationError):
        is_valid(replace(panel, **{form: broken}))


def test_a_panel_draws_every_score_of_its_table(study: Study, figures: tuple[Figure, ...]) -> None:
    drawn = {
        (row["variant"], row["layer"]): row["value"]
        for row in figures[0].panels[0].spec["data"]["values"]
        if row["encoder"] == "trained" and row["measure"] == "p@1"
    }
    results = study.results
    rows = results[
        results["pair"].eq("en-fr")
        & results["probe"].eq("retrieval")
        & results["dataset"].eq("pud")
        & results["metric"].eq("p@1")
        & results["condition"].eq("trained")
        & results["direction"].eq("")
    ]
    expected = rows.groupby(["variant", "layer"])["value"].mean()
    assert drawn == pytest.approx(expected.to_dict(), abs=1e-5)


def test_descriptions_tell_the_numbers(figures: tuple[Figure, ...]) -> None:
    panel = figures[0].panels[0]
    values = {
        row["layer"]: row["value"]
        for row in panel.spec["data"]["values"]
        if (row["variant"], row["encoder"], row["measure"]) == ("default", "trained", "p@1")
    }
    told = ", ".join(f"{values[layer]:.3f}" for layer in sorted(values))
    assert f"default, trained: {told}." in panel.description
    assert panel.spec["description"] == panel.description


@pytest.mark.usefixtures("pictures")
def test_files_are_drawn_in_ink_with_a_legend(figures: tuple[Figure, ...]) -> None:
    svg = figures[0].svg()
    root = ElementTree.fromstring(svg)
    texts = {element.text for element in root.iter() if element.text and element.text.strip()}
    assert {"default", "no-anchors", "trained", "untrained", "precision@1"} <= texts
    assert "layer (0 = embeddings)" in texts
    assert "currentColor" not in svg
    assert INK in svg


def test_variants_are_told_apart_by_colour_and_shape() -> None:
    variants = tuple(f"variant {number}" for number in range(30))
    swatches = [swatch(variants, variant) for variant in variants]
    assert len(set(swatches)) == len(variants)
    assert len({colour for colour, _ in swatches[: len(COLOURS)]}) == len(COLOURS)


def test_a_pair_unfit_for_a_file_name_gets_a_number(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    for name in ("study.json", "results.csv"):
        path = folder / name
        path.write_text(path.read_text().replace("en-fr", "en/../x-fr"))
    study = load_study(folder)
    figures = all_figures(study, average(split_scores(study.results)))
    assert [figure.name for figure in figures][:2] == ["retrieval-pair-1", "cka-pair-1"]
