"""Curves of aligned models hold the scores of the table, and only those of the target."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import vl_convert

from xling.report.charts import chart_config
from xling.report.coverage import cut_lines
from xling.report.geometry import (
    KINDS,
    correlated_points,
    correlation,
    curve_points,
)
from xling.report.geometry_figures import best_layers, embedding_table, geometry
from xling.report.load import load_study
from xling.report.page import render_report
from xling.results import (
    CHANCE,
    OF_RUN,
    STATIC,
    TRAINED,
    UNMAPPED,
    UNTRAINED,
    Score,
    as_table,
    joined,
    read_scores,
    write_scores,
)

VARIANTS = ("monolingual", "default")
KIND = {kind.name: kind for kind in KINDS}
# By layer; the second seed scores 0.1 more.
NER = {TRAINED: (0.2, 0.5, 0.4), UNMAPPED: (0.1, 0.1, 0.2), UNTRAINED: (0.0, 0.1, 0.0)}


def table() -> pd.DataFrame:
    """Every probe of geometry for two variants, two seeds and the pair en-fr."""
    tables = []
    for variant, seed in product(VARIANTS, (1, 2)):
        scores = []
        more = 0.1 * (seed - 1)
        ner = Score("context-ner", "ner", "fr", metric="f1")
        for (condition, values), layer in product(NER.items(), range(3)):
            value = values[layer] + more
            score = ner._replace(layer=layer, condition=condition, value=value)
            scores.append(score._replace(low=value - 0.05, high=value + 0.05))
        for layer in range(3):
            source = ner._replace(language="en", layer=layer)
            scores.append(source._replace(value=0.9))
            scores.append(source._replace(condition="dev", value=0.95))
        both = Score("lexicon-context", "set", "en-fr")
        for layer, direction in product(range(3), ("en>fr", "fr>en", "")):
            value = 0.3 - 0.05 * layer + (0.02 if direction == "en>fr" else 0)
            for probe in ("lexicon-context", "alignment-sentences"):
                score = both._replace(probe=probe, direction=direction, layer=layer, value=value)
                for metric, condition in (
                    ("p@1", TRAINED),
                    ("p@1-csls", TRAINED),
                    ("p@1", UNTRAINED),
                ):
                    scores.append(score._replace(metric=metric, condition=condition))
        static = both._replace(metric="p@1-csls")
        for probe, condition, value in (
            ("lexicon-embedding", TRAINED, 0.33),
            ("lexicon-embedding", STATIC, 0.33),
            ("lexicon-static", TRAINED, 0.44),
        ):
            scores.append(static._replace(probe=probe, condition=condition, value=value))
        for layer in range(3):
            cka = 0.9 - 0.1 * layer - 0.02 * seed
            score = Score("similarity", "pud", "en-fr", layer=layer, metric="cka", value=cka)
            scores.append(score)
            scores.append(score._replace(condition=UNTRAINED, value=0.2))
            scores.append(score._replace(probe="aligned-retrieval", metric="p@1", value=cka / 2))
        run = {"study": "demo", "variant": variant, "pair": "en-fr", "seed": seed}
        tables.append((run, as_table(scores)))
    return joined(tables)


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return table()


def values(points: pd.DataFrame, variant: str, encoder: str) -> list[float]:
    chosen = points[points["variant"].eq(variant) & points["encoder"].eq(encoder)]
    return chosen.sort_values("layer")["value"].tolist()


def test_a_curve_is_the_mean_over_seeds_of_the_targets_scores(results):
    points = curve_points(results, KIND["context-ner"])
    for encoder, by_layer in NER.items():
        expected = np.array(by_layer) + 0.05
        np.testing.assert_allclose(values(points, "default", encoder), expected)
    trained = points[points["encoder"].eq(TRAINED)]
    np.testing.assert_allclose(trained["high"] - trained["low"], 0.1)
    assert set(points["seeds"]) == {2}


def test_both_directions_count_once_and_static_vectors_are_the_floor(results):
    points = curve_points(results, KIND["words"])
    np.testing.assert_allclose(values(points, "default", TRAINED), [0.3, 0.25, 0.2])
    assert values(points, "default", CHANCE) == [0.44]
    assert not curve_points(results, KIND["sentences"])["encoder"].eq(CHANCE).any()


def test_the_best_layer_is_named_with_what_is_beside_it(results):
    points = curve_points(results, KIND["context-ner"])
    rows = [
        [cell.text for cell in row]
        for row in best_layers(points, KIND["context-ner"], VARIANTS, cut_lines(results)).rows
    ]
    assert rows[0] == [
        "en-fr",
        "ner",
        "monolingual",
        "1",
        "0.550",
        "0.500 to 0.600",
        "0.150",
        "0.150",
        "–",
        "2",
        "–",
    ]
    assert [row[2] for row in rows] == list(VARIANTS)


def test_missing_scores_give_no_figure_and_no_error(results):
    without = results[~results["probe"].str.startswith("context-")]
    assert curve_points(without, KIND["context-ner"]).empty
    assert embedding_table(results[results["probe"].eq("similarity")]) is None
    assert correlated_points(results[results["probe"].eq("similarity")]).empty


def test_cka_and_retrieval_are_paired_by_layer_and_seed(results):
    points = correlated_points(results)
    assert len(points) == 2 * 2 * 3
    np.testing.assert_allclose(points["retrieval"], points["cka"] / 2)


def test_the_correlation_draws_models_and_needs_four(results):
    points = correlated_points(results)
    noise = np.random.default_rng(0).normal(0, 0.05, len(points))
    points = points.assign(retrieval=points["retrieval"] + noise)
    value, low, high = correlation(points)
    assert value == pytest.approx(np.corrcoef(points["cka"], points["retrieval"])[0, 1])
    assert low < value < high
    few = points[points["variant"].eq("default")]
    assert few.groupby(["variant", "seed"]).ngroups == 2
    assert np.isnan(correlation(few)[1:]).all()
    assert np.isnan(correlation(points.assign(cka=0.5))).all()


@pytest.fixture
def folder(make_study, results):
    """A study folder whose table has geometry too."""
    study = make_study()
    path = study / "results.csv"
    old = read_scores(path, OF_RUN)
    write_scores(pd.concat([old, results.assign(study=old["study"].iloc[0])]), path)
    return study


def test_figures_are_valid_and_on_the_page(folder, is_valid):
    figures = geometry(load_study(folder)).figures
    names = {figure.name for figure in figures}
    assert names == {
        f"geometry-{n}"
        for n in (
            *("words", "context-ner", "sentences", "similarity", "mapped-ner", "correlation"),
        )
    }
    for figure in figures:
        for panel in figure.panels:
            is_valid(panel)
            spec = {**panel.spec, "data": {"values": panel.spec["data"]["values"][:3]}}
            vl_convert.vegalite_to_vega({**spec, "config": chart_config()})
    (scatter,) = (figure for figure in figures if figure.name.endswith("correlation"))
    assert "r = 1.00" in scatter.panels[0].title
    page = render_report(folder).read_text()
    assert 'id="geometry-words"' in page
    assert "Fig. 4a" in page
    assert (folder / "figures" / "geometry-similarity.svg").is_file()
    other = page[page.find("Other scores") :] if "Other scores" in page else ""
    assert "lexicon-context" not in other
