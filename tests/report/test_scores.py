"""Averages and comparisons against a plain second computation."""

import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.report.load import RESULT_COLUMNS, load_study
from xling.report.scores import ABOVE, BELOW, UNCLEAR, UNKNOWN, average, compare, split_scores


def frame_of(rows: list[tuple[str, str, int, str, float]]) -> pd.DataFrame:
    """Results of one variant, pair and data set: probe, language, seed, metric, value."""
    full = [
        ("s", "v", "en-fr", seed, probe, "pud", language, 1, metric, value)
        for probe, language, seed, metric, value in rows
    ]
    frame = pd.DataFrame(full, columns=list(RESULT_COLUMNS))
    return frame.astype({"layer": "Int64", "seed": "Int64", "value": "float64"})


def compared(rows: list[tuple[str, str, int, str, float]]) -> pd.Series:
    return compare(average(split_scores(frame_of(rows)))).iloc[0]


def test_every_point_equals_a_plain_mean_over_seeds(make_study: Callable[..., Path]) -> None:
    folder = make_study(seeds=(1, 2, 3))
    points = average(split_scores(load_study(folder).results))
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["probe"] != "coverage"]
    assert len(points) == len(
        {
            (r["variant"], r["dataset"], r["probe"], r["layer"], r["metric"])
            for r in rows
            if not r["metric"].endswith(("-low", "-high")) and "random-" not in r["metric"]
        }
    )
    for point in points.to_dict("records"):
        probe = point["family"] + ("-anchor-free" if point["tokens"] == "anchor-free" else "")
        prefix = {"trained": "", "random": "random:", "chance": "chance:"}[point["encoder"]]

        def found(metrics: set[str], probe: str = probe, point: dict = point) -> list[float]:
            return [
                float(row["value"])
                for row in rows
                if row["probe"] == probe
                and row["metric"] in metrics
                and row["language"] == "en-fr"
                and all(row[key] == str(point[key]) for key in ("variant", "dataset", "layer"))
            ]

        name = f"{prefix}{point['measure']}"
        assert point["value"] == pytest.approx(mean(found({name})))
        assert point["seeds"] == 3
        if point["encoder"] == "trained" and point["family"] == "retrieval":
            assert point["low"] == pytest.approx(mean(found({f"{name}-low"})))
            assert point["high"] == pytest.approx(mean(found({f"{name}-high"})))
        if point["encoder"] == "random":
            draws = found({f"random-{n}:{point['measure']}" for n in (1, 2)})
            assert (point["low"], point["high"]) == (min(draws), max(draws))


def test_directions_are_averaged_where_the_probe_gives_no_mean() -> None:
    point = compared([("retrieval", "en>fr", 1, "p@1", 0.2), ("retrieval", "fr>en", 1, "p@1", 0.4)])
    assert point["value"] == pytest.approx(0.3)


def test_the_mean_of_directions_is_not_counted_thrice() -> None:
    rows = [("retrieval", name, 1, "p@1", x) for name, x in (("en>fr", 0.2), ("fr>en", 0.4))]
    point = compared([*rows, ("retrieval", "en-fr", 1, "p@1", 0.35)])
    assert point["value"] == 0.35


scores = st.integers(0, 20).map(lambda n: n / 20)


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.tuples(scores, st.floats(0, 0.2)), min_size=1, max_size=3),
    draws=st.lists(scores, max_size=3),
    chance=st.none() | scores,
    intervals=st.booleans(),
)
def test_standing_is_what_its_definition_says(
    seeds: list[tuple[float, float]], draws: list[float], chance: float | None, intervals: bool
) -> None:
    rows = []
    for seed, (value, half) in enumerate(seeds):
        rows.append(("retrieval", "en-fr", seed, "p@1", value))
        if intervals:
            rows.append(("retrieval", "en-fr", seed, "p@1-low", value - half))
            rows.append(("retrieval", "en-fr", seed, "p@1-high", value + half))
        if draws:
            rows.append(("retrieval", "en-fr", seed, "random:p@1", sum(draws) / len(draws)))
        for number, draw in enumerate(draws):
            rows.append(("retrieval", "en-fr", seed, f"random-{number}:p@1", draw))
        if chance is not None:
            rows.append(("retrieval", "en-fr", seed, "chance:p@1", chance))
    lowest = min(value for value, _ in seeds)
    highest = max(value for value, _ in seeds)
    if intervals:
        lowest = min(lowest, sum(value - half for value, half in seeds) / len(seeds))
        highest = max(highest, sum(value + half for value, half in seeds) / len(seeds))
    ties = {abs(lowest - x) for x in (*draws, chance or 0)} | {abs(highest - x) for x in draws}
    if min(ties, default=1) < 1e-9:
        return  # rounding decides
    if not draws:
        expected = UNKNOWN
    elif lowest > max([*draws, *([] if chance is None else [chance])]):
        expected = ABOVE
    else:
        expected = BELOW if highest < min(draws) else UNCLEAR
    assert compared(rows)["standing"] == expected


def test_chance_without_a_layer_belongs_to_every_layer() -> None:
    frame = frame_of(
        [("retrieval", "en-fr", 1, "p@1", 0.2), ("retrieval", "en-fr", 1, "chance:p@1", 0.01)]
    )
    frame.loc[1, "layer"] = pd.NA
    assert compare(average(split_scores(frame)))["chance"].tolist() == [0.01]


def test_no_scores_are_no_rows() -> None:
    assert compare(average(split_scores(frame_of([])))).empty
