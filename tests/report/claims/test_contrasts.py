"""Scores by pair and seed and their contrasts, against sums and intervals worked out by hand."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xling.estimate import (
    ITEMS,
    NOTHING,
    SEEDS,
    SEEDS_AND_ITEMS,
    Cell,
    Measured,
    estimate,
    standard_error,
)
from xling.influence import Floats
from xling.report.claims.claim import Baseline, Contrast, Score, Term
from xling.report.claims.contrasts import (
    Cells,
    InfluenceOf,
    Reading,
    band,
    contrast_cells,
    places,
)
from xling.results import RESULT_COLUMNS, Key

WIDTH = 2 * stats.norm.ppf(0.975)
TASK = Score(label="NLI", probe="nli", metric="acc")
DIFFERENCE = Contrast(
    name="a above b",
    scores=("nli",),
    terms=(Term(variant="a", weight=1.0), Term(variant="b", weight=-1.0)),
    above=0.0,
    reason="made up",
)


def row(
    variant: str, value: float, seed: int = 1, *, pair: str = "en-fr", **other: object
) -> dict[str, object]:
    found = {"probe": "nli", "dataset": "d", "language": "fr", "direction": "", "metric": "acc"}
    found["condition"] = "trained"
    return found | {"variant": variant, "pair": pair, "seed": seed, "value": value} | other


def cells(rows: list[dict[str, object]], influence: InfluenceOf | None = None) -> Cells:
    frame = pd.DataFrame(rows, columns=list(RESULT_COLUMNS))
    kinds = dict.fromkeys(("low", "high"), "float64") | dict.fromkeys(("layer", "draw"), "Int64")
    return Cells(frame.astype(kinds), influence)


def of_acc(values: Mapping[tuple[str, int], Floats]) -> InfluenceOf:
    """Influence values of the one score by variant and seed; none where the file is missing."""

    def found(variant: str, _: str, seed: int) -> dict[Key, Floats]:
        key = Key("nli", "d", "fr", metric="acc")
        return {key: values[variant, seed]} if (variant, seed) in values else {}

    return found


def differences(rows: list[dict[str, object]], influence: InfluenceOf | None = None) -> list[Cell]:
    return contrast_cells(cells(rows, influence), DIFFERENCE, "nli", {"nli": TASK}, ["en-fr"])


def hits(seed: int, items: int = 40) -> dict[str, Floats]:
    """Per-item scores of two models that stumble over the same items."""
    rng = np.random.default_rng(seed)
    hard = np.random.default_rng(0).random(items)
    found = {"a": hard < 0.7, "b": hard < 0.6}
    return {name: (h ^ (rng.random(items) < 0.1)).astype(float) for name, h in found.items()}


def paired_scores(seeds: int, items: int = 40) -> tuple[list[dict[str, object]], dict, dict]:
    """Rows of results, influence values and per-item scores of two variants."""
    scores = {(v, s): h for s in range(seeds) for v, h in hits(s + 1, items).items()}
    rows = [row(v, float(h.mean()), s) for (v, s), h in scores.items()]
    return rows, {name: h - h.mean() for name, h in scores.items()}, scores


def test_one_seed_is_the_paired_test_of_its_items() -> None:
    rows, influence, scores = paired_scores(1)
    found = estimate(differences(rows, of_acc(influence)))
    assert found is not None
    assert found.basis == ITEMS
    paired = scores["a", 0] - scores["b", 0]
    assert found.value == pytest.approx(paired.mean())
    assert found.high - found.low == pytest.approx(WIDTH * stats.sem(paired))


def test_without_influence_values_a_score_s_own_interval_tells_its_error() -> None:
    rows = [
        row(variant, value, low=value - half, high=value + half)
        for variant, value, half in (("a", 0.7, 0.04), ("b", 0.6, 0.03))
    ]
    found = estimate(differences(rows))
    assert found is not None
    assert found.value == pytest.approx(0.1)
    assert found.high - found.low == pytest.approx(2 * 0.05)


@pytest.mark.parametrize("missing", [("a", 1), ("b", 2)])
def test_one_seed_s_missing_file_leaves_items_to_the_other_seeds(missing: tuple[str, int]) -> None:
    rows, influence, scores = paired_scores(3)
    del influence[missing]
    found = estimate(differences(rows, of_acc(influence)))
    assert found is not None
    assert found.basis == SEEDS_AND_ITEMS
    assert found.cells == 3
    known = [scores["a", s] - scores["b", s] for s in range(3) if s != missing[1]]
    of_items = stats.sem(np.mean(known, axis=0))
    assert found.high - found.low >= WIDTH * of_items
    # That of seeds alone would say nothing of other items.
    seeds = [float((scores["a", s] - scores["b", s]).mean()) for s in range(3)]
    variance = np.var(seeds, ddof=1) / 3
    assert found.high - found.low <= 2 * stats.t.ppf(0.975, 2) * math.sqrt(variance + of_items**2)


def test_a_seed_without_an_interval_errs_as_the_others() -> None:
    found = estimate([Cell("p", 1, 0.1, 0.02), Cell("p", 2, 0.1, math.nan)])
    assert found is not None
    assert found.basis == SEEDS_AND_ITEMS
    assert found.high - found.value == pytest.approx(WIDTH / 2 * 0.02)


def test_one_item_tells_no_error() -> None:
    """Its influence value is 0 and its bootstrap has no width, however much items differ."""
    rows, influence, _ = paired_scores(2, items=1)
    rows = [r | {"low": r["value"], "high": r["value"]} for r in rows]
    found = estimate(differences(rows, of_acc(influence)))
    assert found is not None
    assert found.basis == SEEDS
    alone = [r for r in rows if r["seed"] == 0]
    found = estimate(differences(alone, of_acc(influence)))
    assert found is not None
    assert found.basis == NOTHING
    assert math.isnan(found.low)
    assert math.isnan(standard_error(np.zeros(1)))
    assert math.isnan(standard_error(np.zeros(0)))
    assert standard_error(np.array([1.0, -1.0])) == pytest.approx(1.0)


def test_influence_values_that_are_no_numbers_say_nothing() -> None:
    rows, influence, _ = paired_scores(2)
    broken = {name: np.where(values > 0, np.nan, values) for name, values in influence.items()}
    found, without = estimate(differences(rows, of_acc(broken))), estimate(differences(rows))
    assert found == without
    assert found is not None
    assert found.basis == SEEDS


def test_items_on_which_two_models_never_differ_leave_the_seeds() -> None:
    cells = [Cell("p", s, v, 0.0, np.zeros(9)) for s, v in enumerate([0.1, 0.2, 0.4])]
    found = estimate(cells)
    assert found is not None
    expected = stats.ttest_1samp([0.1, 0.2, 0.4], 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_seeds_that_move_items_in_opposite_ways_are_not_certain() -> None:
    """Items' means over seeds are all 0 then: what is left is how much seeds differ."""
    moved = np.array([0.5, -0.5, 0.25, -0.25])
    found = estimate([Cell("p", 1, 0.11, 0.1, moved), Cell("p", 2, 0.1, 0.1, -moved)])
    expected = stats.ttest_1samp([0.11, 0.1], 0).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_pairs_of_different_numbers_of_items_err_apart_and_equal_ones_together() -> None:
    rng = np.random.default_rng(1)
    of_near, of_far = rng.normal(size=50), rng.normal(size=80)
    of_near, of_far = of_near - of_near.mean(), of_far - of_far.mean()
    apart = estimate([Cell("near", 1, 0.1, 0, of_near), Cell("far", 1, 0.3, 0, of_far)])
    assert apart is not None
    variance = (stats.sem(of_near) ** 2 + stats.sem(of_far) ** 2) / 4
    # N / (N - 1) is that of all items together
    assert apart.high - apart.low == pytest.approx(WIDTH * math.sqrt(variance), rel=0.02)
    together = estimate([Cell("near", 1, 0.1, 0, of_near), Cell("far", 1, 0.3, 0, -of_near)])
    assert together is not None
    assert together.high == together.low == pytest.approx(0.2)


def test_seeds_of_different_numbers_of_items_have_their_errors() -> None:
    """They cannot be crossed; each seed's error is then its items', averaged."""
    of_one, of_other = np.array([1.0, -1.0, 0.0]), np.array([1.0, -1.0, 0.5, -0.5])
    known = [Cell("p", 1, 0.1, 0.3, of_one), Cell("p", 2, 0.1, 0.4, of_other)]
    found = estimate(known)
    assert found is not None
    expected = WIDTH * math.sqrt((0.3**2 + 0.4**2) / 2)
    assert found.high - found.low == pytest.approx(expected)


def test_a_score_over_layers_is_the_mean_of_its_layers_and_of_how_items_move_them() -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(size=(3, 30))
    table -= table.mean(axis=1, keepdims=True)
    at = {"probe": "find", "metric": "p@1"}
    rows = [row("a", 0.1 * layer, layer=layer, **at) for layer in range(3)]
    keys = [Key("find", "d", "fr", layer=layer, metric="p@1") for layer in range(3)]
    known = cells(rows, lambda *_: dict(zip(keys, table, strict=True)))
    (found,) = known.of(Reading("find", "p@1", "a", "mean")).values()
    assert found.value == pytest.approx(0.1)
    assert found.influence is not None
    np.testing.assert_allclose(found.influence, table.mean(axis=0))
    (best,) = known.of(Reading("find", "p@1", "a", "best")).values()
    assert best.value == 0.2
    assert best.influence is not None
    assert (best.influence == table[2]).all()
    assert best.error == pytest.approx(stats.sem(table[2]))


def test_a_mean_of_two_directions_errs_as_one_of_them() -> None:
    rows = [row("a", 0.5, language="en-fr")]
    for direction, half in (("en>fr", 0.02), ("fr>en", 0.04)):
        named = {"language": "en-fr", "direction": direction}
        rows.append(row("a", 0.5, low=0.5 - half, high=0.5 + half, **named))
    (found,) = cells(rows).of(Reading("nli", "acc", "a")).values()
    assert found.value == 0.5
    assert found.error == pytest.approx(2 * 0.03 / WIDTH)


def test_a_baseline_stands_for_all_seeds_with_its_mean_and_its_items() -> None:
    _, influence, scores = paired_scores(2)
    contrast = Contrast(
        name="a above untrained",
        scores=("nli",),
        terms=(Term(variant="a", weight=1.0), Term(variant="a", weight=-1.0, baseline=True)),
        above=0.0,
        reason="made up",
    )
    score = Score(label="NLI", probe="nli", metric="acc", baseline=Baseline(variant="b"))
    rows = [row(v, float(h.mean()), s) for (v, s), h in scores.items()]
    found = contrast_cells(
        cells(rows, of_acc(influence)), contrast, "nli", {"nli": score}, ["en-fr"]
    )
    base = (scores["b", 0] + scores["b", 1]) / 2
    assert [cell.seed for cell in found] == [0, 1]
    for cell in found:
        paired = scores["a", cell.seed] - base
        assert cell.value == pytest.approx(paired.mean())
        assert cell.error == pytest.approx(stats.sem(paired))
    # One seed's file is missing: the other seed's items stand for both.
    del influence["b", 0]
    found = contrast_cells(
        cells(rows, of_acc(influence)), contrast, "nli", {"nli": score}, ["en-fr"]
    )
    expected = [stats.sem(scores["a", s] - scores["b", 1]) for s in (0, 1)]
    assert [cell.error for cell in found] == pytest.approx(expected)


def test_weights_stretch_errors_whatever_their_sign() -> None:
    found = Measured(0.5, 0.1, np.array([0.2, -0.2])).times(-2)
    assert (found.value, found.error) == (-1.0, 0.2)
    assert found.influence is not None
    assert found.influence.tolist() == [-0.4, 0.4]


@pytest.mark.parametrize("depth", range(1, 25))
def test_bands_are_thirds_of_the_depth(depth: int) -> None:
    lower, middle, upper = (band(range(depth + 1), part) for part in ("lower", "middle", "upper"))
    assert [*lower, *middle, *upper] == list(range(depth + 1))
    assert max(lower) <= depth / 3 < max(lower) + 1
    assert min(upper) - 1 < 2 * depth / 3 <= min(upper)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("a", {}),
        ("ab", {"nearest": "a", "furthest": "b"}),
        ("abc", {"nearest": "a", "furthest": "c", "middle": "b"}),
        ("abcde", {"nearest": "a", "furthest": "e", "middle": "c"}),
    ],
)
def test_places_of_pairs_from_near_to_far(pairs: str, expected: dict[str, str]) -> None:
    assert places(pairs) == expected
