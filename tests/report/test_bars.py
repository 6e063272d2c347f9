"""Bars of variants with intervals over seeds, the map of doses, and when alignment sets in."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xling.report.bars import bar_figure, bars, dose_figure, doses, seed_interval
from xling.report.charts import Figure, Panel
from xling.report.emergence import (
    curves,
    emergence_figure,
    emergence_points,
    rise_table,
    seed_points,
)
from xling.report.figures import all_figures
from xling.report.learning_curves import GRADIENTS, learning_curve_figure, learning_curves
from xling.report.load import Study, load_study
from xling.report.page import render_report
from xling.report.scores import average, split_scores
from xling.results import EMERGENCE_COLUMNS, RESULT_COLUMNS

VARIANTS = ("default", "no-anchors", "<b>own</b>")


@pytest.mark.parametrize("count", [2, 3, 10])
def test_the_interval_over_seeds_is_students(count: int) -> None:
    values = np.random.default_rng(count).normal(0.4, 0.02, count)
    expected = stats.t.interval(0.95, count - 1, values.mean(), stats.sem(values))
    assert seed_interval(values) == pytest.approx(expected)
    assert seed_interval(values[:1]) is None
    assert seed_interval([0.0, 1.0]) == (0.0, 1.0)


@pytest.fixture
def names_of_figures() -> Callable[[Study], list[str]]:
    """The function that names a study's figures, without drawing them."""

    def undrawn(title: str, description: str, spec: object, **of: str) -> Panel:
        return Panel(title, description, {}, {}, **of)

    def names(study: Study) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Panel, "of", undrawn)
            points = average(split_scores(study.results))
            return [figure.name for figure in all_figures(study, points)]

    return names


@pytest.fixture
def folder(make_study: Callable[..., Path], make_row: Callable[..., list[object]]) -> Path:
    folder = make_study(variants=VARIANTS, seeds=(1, 2, 3))
    with open(folder / "results.csv", "a", encoding="utf-8", newline="") as file:
        for place, variant in enumerate(VARIANTS):
            for seed in (1, 2, 3):
                key = ["demo", variant, "en-fr", seed, "transfer-parsing", "ud"]
                for language, value in (("en", 0.9), ("fr", 0.5 - 0.1 * place + 0.01 * seed)):
                    row = make_row(*key, language, "las", value, low=value - 0.1, high=value + 0.1)
                    csv.writer(file).writerow(row)
                untrained = make_row(*key, "fr", "las", 0.2, condition="untrained")
                csv.writer(file).writerow(untrained)
    return folder


def test_bars_are_the_best_layers_and_the_target_languages(folder: Path) -> None:
    study = load_study(folder)
    found = bars(study, average(split_scores(study.results)), "en-fr")
    raw = pd.read_csv(folder / "results.csv")
    assert list(raw.columns) == list(RESULT_COLUMNS)
    assert set(found["quantity"]) == {
        "retrieval, pud",
        "retrieval, tatoeba-fr",
        "Dependency parsing, LAS",
    }
    for variant in VARIANTS:
        of_variant = found[found["variant"].eq(variant)]
        las = of_variant[of_variant["quantity"].eq("Dependency parsing, LAS")]
        expected = [0.5 - 0.1 * VARIANTS.index(variant) + 0.01 * seed for seed in (1, 2, 3)]
        assert sorted(las["value"]) == pytest.approx(expected)
        assert las["untrained"].tolist() == pytest.approx([0.2] * 3)
        low, high = stats.t.interval(0.95, 2, np.mean(expected), stats.sem(expected))
        assert las["low"].iloc[0] == pytest.approx(low)
        assert las["high"].iloc[0] == pytest.approx(high)
        rows = raw[
            raw["variant"].eq(variant)
            & raw["probe"].eq("retrieval-anchor-free")
            & raw["dataset"].eq("pud")
            & raw["metric"].eq("p@1-centred")
            & raw["direction"].isna()
        ]
        trained = rows[rows["condition"].eq("trained")]
        layer = trained.groupby("layer")["value"].mean().idxmax()
        at_best = trained[trained["layer"].eq(layer)].sort_values("seed")["value"]
        pud = of_variant[of_variant["quantity"].eq("retrieval, pud")]
        assert sorted(pud["value"]) == pytest.approx(sorted(at_best))
        assert set(pud["form"]) == {"anchor-free, centred"}
        untrained = rows[rows["condition"].eq("untrained") & rows["layer"].eq(layer)]
        untrained = untrained[untrained["draw"].isna()]["value"].mean()
        assert pud["untrained"].iloc[0] == pytest.approx(untrained)
        assert pud["chance"].iloc[0] == pytest.approx(1 / 1000)


def test_bars_are_drawn_for_three_variants_and_not_for_two(
    folder: Path,
    two_pairs: Path,
    draw: Callable[[Figure], str],
    names_of_figures: Callable[[Study], list[str]],
) -> None:
    study = load_study(folder)
    assert "bars-en-fr" in names_of_figures(study)
    assert not [name for name in names_of_figures(load_study(two_pairs)) if "bars" in name]
    found = bars(study, average(split_scores(study.results)), "en-fr")
    assert "LAS" in draw(bar_figure(found, VARIANTS, "en-fr", "bars"))


@pytest.mark.slow
def test_the_page_has_bars_and_doses(folder: Path) -> None:
    for variant, overlap in zip(VARIANTS, (0.2, 0.0, 0.05), strict=True):
        union(folder, variant, overlap)
    emerge(folder, {(variant, seed): 30 for variant in VARIANTS for seed in (1, 2, 3)})
    html = render_report(folder).read_text()
    assert 'id="bars-en-fr"' in html
    assert 'id="doses-en-fr-1"' in html
    assert "<b>own" not in html[: html.index('<script type="application/json"')]
    assert (folder / "figures" / "bars-en-fr.svg").is_file()


def emerge(folder: Path, half: dict[tuple[str, int], int]) -> None:
    """Write an emergence of which each variant and seed is half-way at a step."""
    rows = [
        f"demo,{variant},en-fr,{seed},{step},retrieval,pud,en-fr,,{layer},trained,,p@1-centred,"
        f"{(0.8 if step >= middle else 0.1) * (layer + 1) / 2},,,"
        for (variant, seed), middle in half.items()
        for step in (1, 10, 30, 100)
        for layer in (0, 1)
    ]
    (folder / "emergence.csv").write_text("\n".join([",".join(EMERGENCE_COLUMNS), *rows]) + "\n")


def test_when_alignment_sets_in_has_a_range_over_seeds(folder: Path) -> None:
    steps = {("default", 1): 10, ("default", 2): 30, ("default", 3): 30}
    flat = {("no-anchors", 1): 100, ("no-anchors", 2): 1000, ("no-anchors", 3): 1000}
    emerge(folder, steps | flat)
    emergence = load_study(folder).emergence
    (shown,) = curves(emergence_points(emergence), seed_points(emergence), "en-fr")
    rows = {
        row[0].text: [cell.notes for cell in row[1:]] for row in rise_table(shown, VARIANTS).rows
    }
    assert rows["default"] == [("half by step 30 (10 to 30)",)] * 2
    assert rows["no-anchors"] == [("half by step 100 (100 in 1 of 3 seeds)",)] * 2


def union(folder: Path, variant: str, overlap: float, words: int = 1000) -> None:
    report = {
        "vocabulary": {"kind": "union" if overlap else "disjoint", "size": 100},
        "languages": {language: {"words": words} for language in ("en", "fr")},
        "anchors": [{"languages": ["en", "fr"], "overlap": overlap}],
    }
    (folder / f"tokens/en-fr/{variant}/report.json").write_text(json.dumps(report))


def test_the_map_has_a_row_for_each_dose_and_only_for_doses(
    make_study: Callable[..., Path],
    is_valid: Callable[[Panel], None],
    names_of_figures: Callable[[Study], list[str]],
) -> None:
    variants = ("union", "no-anchors", "some", "other-text", "default")
    folder = make_study(variants=variants, seeds=(1, 2))
    for variant, overlap in (("union", 0.2), ("no-anchors", 0.0), ("some", 0.05)):
        union(folder, variant, overlap)
    union(folder, "other-text", 0.3, words=900)
    emerge(folder, {(variant, seed): 30 for variant in variants for seed in (1, 2)})
    study = load_study(folder)
    found = doses(study, "en-fr")
    assert list(found.items()) == [("no-anchors", 0.0), ("some", 0.05), ("union", 0.2)]
    by_step = emergence_points(study.emergence), seed_points(study.emergence)
    (shown,) = curves(*by_step, "en-fr")
    figure = dose_figure(shown, found, "doses")
    values = figure.panels[0].spec["data"]["values"]
    assert {(one["variant"], one["step"], one["value"]) for one in values} == {
        (variant, step, 0.8 if step >= 30 else 0.1)
        for variant in found
        for step in (1, 10, 30, 100)
    }
    found = bars(study, average(split_scores(study.results)), "en-fr")
    barred = bar_figure(found, variants, "en-fr", "bars")
    for one in (figure, barred, emergence_figure(shown, study.variants, "rise")):
        is_valid(one.panels[0])
    assert "doses-en-fr-1" in names_of_figures(study)
    union(folder, "some", 0.0)
    assert doses(load_study(folder), "en-fr") == {}


def test_cosines_of_gradients_stand_beside_the_losses(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    place = folder / "runs/en-fr/default/seed-1/log.jsonl"
    with open(place, "a", encoding="utf-8") as file:
        for step in (10, 100):
            for language, cosine in (("en", 0.9), ("fr", 0.8), ("en-fr", 0.1 + step / 1000)):
                entry = {"step": step, "kind": "gradients", "language": language}
                file.write(json.dumps(entry | {"cosine": cosine}) + "\n")
    study = load_study(folder)
    found = learning_curves(study.runs, "en-fr")
    of_pair = found[found["kind"].eq(GRADIENTS) & found["language"].eq("en-fr")]
    assert of_pair[["step", "value"]].to_numpy().tolist() == [[10, 0.11], [100, 0.2]]
    figure = learning_curve_figure(found, study.variants, "en-fr", "training")
    assert figure.columns == 2
    titles = [panel.title for panel in figure.panels]
    assert titles[-3:] == [f"{of}, {GRADIENTS}" for of in ("en", "fr", "en-fr")]
    assert "two halves" in figure.caption
