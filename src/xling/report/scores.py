"""Scores by layer: the table of results, gathered for figures, tables and sentences.

A row is a point of a figure: the value of an encoder at a layer, its interval, and the number of
seeds.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from xling.report.load import comparison
from xling.results import CHANCE, ENDS, TRAINED, UNTRAINED, over_seeds, standing

if TYPE_CHECKING:
    import pandas as pd

ALL_TOKENS, ANCHOR_FREE = "all tokens", "anchor-free"
RETRIEVAL, CKA = "retrieval", "cka"
PLAIN, CENTRED = "p@1", "p@1-centred"
QUANTITIES = {RETRIEVAL: "precision@1", CKA: "linear CKA"}

SERIES = ["pair", "variant", "dataset", "family", "tokens", "measure"]
POINT = [*SERIES, "encoder", "layer"]


def is_by_layer(results: "pd.DataFrame") -> "pd.Series[bool]":
    """Tell which rows of the results are scores by layer of a probe known here."""
    family = results["probe"].str.removesuffix("-anchor-free")
    layered = results["layer"].notna() | results["condition"].eq(CHANCE)
    return family.isin([RETRIEVAL, CKA]) & layered


def split_scores(results: "pd.DataFrame") -> "pd.DataFrame":
    """Choose the scores by layer, and add the columns that figures need.

    Args:
        results: A study's table of scores.

    Returns:
        Those rows; pair is the comparison (see ``load.comparisons``), and there are family
        (``retrieval`` or ``cka``), tokens (``all tokens`` or ``anchor-free``), measure (the metric)
        and encoder (the condition).
    """
    frame = results[is_by_layer(results)].reset_index(drop=True)
    probe = frame["probe"]
    return frame.assign(
        family=probe.str.removesuffix("-anchor-free"),
        tokens=np.where(probe.str.endswith("-anchor-free"), ANCHOR_FREE, ALL_TOKENS),
        measure=frame["metric"],
        encoder=frame["condition"],
        pair=[comparison(*of) for of in zip(frame["pair"], frame["language"], strict=True)],
    )


def average(split: "pd.DataFrame", point: Sequence[str] = POINT) -> "pd.DataFrame":
    """Average the directions and seeds of every point of a curve.

    Where the probe gives the mean of both directions, that is taken; else the directions are
    averaged. An untrained encoder's low and high are the least and the greatest of its draws.

    Args:
        split: Scores, e.g. from ``split_scores``.
        point: Columns that tell points apart.

    Returns:
        One row a point, with what ``results.over_seeds`` gives and detail (each direction's mean,
        as text).
    """
    point = list(point)
    of_draw = split["draw"].notna()
    table = over_seeds(_both_directions(split[~of_draw], point), point)
    draws = _both_directions(split[of_draw], point).groupby(point, dropna=False, sort=False)[
        "value"
    ]
    for end, of_draws in zip(ENDS, (draws.min(), draws.max()), strict=True):
        found = table[point].merge(of_draws.rename(end).reset_index(), on=point, how="left")
        table[end] = table[end].fillna(found[end])
    details = _directions(split[~of_draw], point)
    table = table.merge(details, on=point, how="left")
    table["detail"] = table["detail"].fillna("")
    return table


def by_seed(split: "pd.DataFrame") -> "pd.DataFrame":
    """Return the trained encoders' scores of both directions, one row per seed.

    Returns:
        ``SERIES``, layer, seed, value, low, high.
    """
    means = _both_directions(split[split["encoder"].eq(TRAINED)], POINT)
    groups = means.groupby([*SERIES, "layer", "seed"], dropna=False, sort=False)
    return groups[["value", "low", "high"]].mean().reset_index()


def _both_directions(split: "pd.DataFrame", point: list[str]) -> "pd.DataFrame":
    """Keep the rows of a point that stand for both directions, or all if there are none."""
    one_way = split["direction"].ne("")
    has_mean = (~one_way).groupby([split[key] for key in point], dropna=False).transform("any")
    return split[~(one_way & has_mean.astype(bool))]


def _directions(split: "pd.DataFrame", point: list[str]) -> "pd.DataFrame":
    one_way = split[split["direction"].ne("")]
    means = one_way.groupby([*point, "direction"], dropna=False, sort=False)["value"].mean()
    texts = means.reset_index()
    texts["detail"] = [
        f"{direction} {value:.3f}"
        for direction, value in zip(texts["direction"], texts["value"], strict=True)
    ]
    return texts.groupby(point, dropna=False, sort=False)["detail"].agg(", ".join).reset_index()


def compare(points: "pd.DataFrame") -> "pd.DataFrame":
    """Set every layer of a trained encoder against the untrained encoders and chance.

    What is judged (`results.standing`) is the range that holds a score's 95 % interval, if it has
    one, and every seed's score: ``above`` if it lies above chance and above every untrained
    encoder, ``below`` if it lies below every untrained encoder.

    Args:
        points: From ``average``.

    Returns:
        One row per layer, sorted by layer within a series: ``SERIES``, layer, value, low, high,
        least, greatest, seeds, random, random_low, random_high, chance, standing.
    """
    index = [*SERIES, "layer"]
    random = points.loc[points["encoder"].eq(UNTRAINED), [*index, "value", "low", "high"]]
    random = random.set_axis([*index, "random", "random_low", "random_high"], axis=1)
    random["random_low"] = random["random_low"].fillna(random["random"])
    random["random_high"] = random["random_high"].fillna(random["random"])
    chance = points[points["encoder"].eq(CHANCE)].groupby(SERIES)["value"].mean()
    table = points[points["encoder"].eq(TRAINED)].drop(columns=["encoder", "detail"])
    table = table.merge(random, on=index, how="left")
    table = table.merge(chance.rename("chance").reset_index(), on=SERIES, how="left")

    lower, upper = np.fmin(table["low"], table["least"]), np.fmax(table["high"], table["greatest"])
    roof = np.fmax(table["random_high"], table["chance"])
    table["standing"] = standing(lower, upper, table["random_low"], roof)
    return table.sort_values("layer", kind="stable").reset_index(drop=True)
