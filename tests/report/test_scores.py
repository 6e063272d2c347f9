"""Averages and comparisons against a plain second computation."""

import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.report.load import load_study
from xling.report.scores import average, compare, split_scores
from xling.results import ABOVE, BELOW, UNCLEAR, UNKNOWN, Score, as_table, joined

RETRIEVAL = Score("retrieval", "pud", "en-fr", layer=1, metric="p@1")
Rows = list[tuple[int, Score]]


def frame_of(rows: Rows) -> pd.DataFrame:
    """Results of one variant and pair, each with its seed."""
    run = {"study": "s", "variant": "v", "pair": "en-fr"}
    return joined((run | {"seed": seed}, as_table([score])) for seed, score in rows)


def compared(rows: Rows) -> pd.Series:
    return compare(average(split_scores(frame_of(rows)))).iloc[0]


def test_every_point_equals_a_plain_mean_over_seeds(make_study: Callable[..., Path]) -> None:
    folder = make_study(seeds=(1, 2, 3))
    points = average(split_scores(load_study(folder).results))
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["probe"] != "coverage"]
    assert len(points) == len(
        {
            (r["variant"], r["dataset"], r["probe"], r["layer"], r["condition"], r["metric"])
            for r in rows
            if not r["draw"]
        }
    )
    for point in points.to_dict("records"):
        probe = point["family"] + ("-anchor-free" if point["tokens"] == "anchor-free" else "")

        def found(
            column: str, draws: tuple[str, ...] = ("",), probe: str = probe, point: dict = point
        ) -> list[float]:
            return [
                float(row[column])
                for row in rows
                if row["probe"] == probe
                and row["metric"] == point["measure"]
                and row["condition"] == point["encoder"]
                and row["draw"] in draws
                and row["direction"] == ""
                and all(row[key] == str(point[key]) for key in ("variant", "dataset", "layer"))
            ]

        assert point["value"] == pytest.approx(mean(found("value")))
        assert point["seeds"] == 3
        if point["encoder"] == "trained" and point["family"] == "retrieval":
            assert point["low"] == pytest.approx(mean(found("low")))
            assert point["high"] == pytest.approx(mean(found("high")))
        if point["encoder"] == "untrained":
            draws = found("value", ("1", "2"))
            assert (point["low"], point["high"]) == (min(draws), max(draws))


DIRECTIONS = [
    (1, RETRIEVAL._replace(direction=way, value=value))
    for way, value in (("en>fr", 0.2), ("fr>en", 0.4))
]


def test_directions_are_averaged_where_the_probe_gives_no_mean() -> None:
    point = compared(DIRECTIONS)
    assert point["value"] == pytest.approx(0.3)


def test_the_mean_of_directions_is_not_counted_thrice() -> None:
    point = compared([*DIRECTIONS, (1, RETRIEVAL._replace(value=0.35))])
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
        score = RETRIEVAL._replace(value=value)
        if intervals:
            score = score._replace(low=value - half, high=value + half)
        rows.append((seed, score))
        untrained = RETRIEVAL._replace(condition="untrained")
        if draws:
            rows.append((seed, untrained._replace(value=sum(draws) / len(draws))))
        for number, draw in enumerate(draws):
            rows.append((seed, untrained._replace(draw=number, value=draw)))
        if chance is not None:
            rows.append((seed, RETRIEVAL._replace(condition="chance", value=chance)))
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
    chance = RETRIEVAL._replace(condition="chance", layer=None, value=0.01)
    frame = frame_of([(1, RETRIEVAL._replace(value=0.2)), (1, chance)])
    assert compare(average(split_scores(frame)))["chance"].tolist() == [0.01]


def test_no_scores_are_no_rows() -> None:
    assert compare(average(split_scores(frame_of([])))).empty
