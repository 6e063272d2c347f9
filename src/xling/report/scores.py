"""Scores by layer: the tidy table of results, gathered for figures, tables and sentences.

The tidy table has one row a number. Here, one row holds what a point of a figure is made
of: the value of an encoder at a layer, its interval, and how many seeds it averages.
"""

from typing import TYPE_CHECKING

import numpy as np

from xling.names import direction_languages, pair_languages, pair_name
from xling.report.load import comparison

if TYPE_CHECKING:
    import pandas as pd

TRAINED, RANDOM, CHANCE = "trained", "random", "chance"
UNMAPPED = "without a map"  # one of two models aligned with each other, on its own
ALL_TOKENS, ANCHOR_FREE = "all tokens", "anchor-free"
RETRIEVAL, CKA = "retrieval", "cka"
PLAIN, CENTRED = "p@1", "p@1-centred"
ABOVE, UNCLEAR, BELOW, UNKNOWN = "above", "unclear", "below", "unknown"

SERIES = ["pair", "variant", "dataset", "family", "tokens", "measure"]
_POINT = [*SERIES, "encoder", "layer"]
_METRIC = (
    r"^(?:(?P<encoder>random|chance)(?:-(?P<draw>\d+))?:)?"
    r"(?P<measure>.+?)(?:-(?P<end>low|high))?$"
)


def is_by_layer(results: "pd.DataFrame") -> "pd.Series[bool]":
    """Tell which rows of the results are scores by layer of a probe known here."""
    family = results["probe"].str.removesuffix("-anchor-free")
    chance = results["metric"].str.startswith(f"{CHANCE}:")
    return family.isin([RETRIEVAL, CKA]) & (results["layer"].notna() | chance)


def split_scores(results: "pd.DataFrame") -> "pd.DataFrame":
    """Take the names of probes and metrics apart; put each value beside its interval.

    Args:
        results: The tidy table, as ``load.read_results`` returns it.

    Returns:
        One row per score: pair (of a model of several languages the comparison, see
        ``load.comparisons``), variant, dataset, family (``retrieval`` or ``cka``), tokens
        (``all tokens`` or ``anchor-free``), measure (``p@1``, ``p@1-centred``, ``cka``),
        encoder (``trained``, ``random`` or ``chance``), layer, draw (the seed of one random
        encoder; empty for their mean and for all others), language (``en>fr`` is a direction,
        ``en-fr`` both), seed, value, low and high (95 % interval or missing).
    """
    import pandas as pd

    frame = results[is_by_layer(results)].reset_index(drop=True)
    parts = frame["metric"].str.extract(_METRIC).fillna("")
    probe = frame["probe"]
    frame = frame.assign(
        family=probe.str.removesuffix("-anchor-free"),
        tokens=np.where(probe.str.endswith("-anchor-free"), ANCHOR_FREE, ALL_TOKENS),
        measure=parts["measure"],
        encoder=parts["encoder"].replace("", TRAINED),
        pair=_compared(frame),
        draw=parts["draw"],
        end=parts["end"].replace("", "value"),
    )
    index = [*_POINT, "draw", "language", "seed"]
    frame = frame.drop_duplicates([*index, "end"], keep="last")
    wide = frame.loc[frame["end"].eq("value"), [*index, "value"]]
    for end in ("low", "high"):
        bound = frame.loc[frame["end"].eq(end), [*index, "value"]]
        wide = wide.merge(bound.rename(columns={"value": end}), on=index, how="left")
    return pd.DataFrame(wide).reset_index(drop=True)


def _compared(frame: "pd.DataFrame") -> list[str]:
    """Name the pair of languages that each row compares, the base first."""

    def name(pair: str, language: str) -> str:
        order = pair_languages(pair)
        ends = [*direction_languages(language)]
        ends.sort(key=lambda end: order.index(end) if end in order else len(order))
        return comparison(pair, pair_name(ends))

    rows = zip(frame["pair"], frame["language"], strict=True)
    known = {row: name(*row) for row in dict.fromkeys(rows)}
    return [known[row] for row in zip(frame["pair"], frame["language"], strict=True)]


def average(split: "pd.DataFrame") -> "pd.DataFrame":
    """Average the directions and seeds of every point of a curve.

    Where the probe gives the mean of both directions, that is taken; else the directions are
    averaged. The ends of the intervals are averaged too: the spread of a mean is at most the
    mean of the spreads, so the result is, if anything, too wide. It covers the choice of test
    sentences, not that of seeds. A random encoder's low and high are the least and the greatest
    of its draws.

    Returns:
        One row a point: ``SERIES``, encoder, layer, value, low, high (missing unless every
        averaged score has them), least and greatest (over seeds), seeds (count), and detail
        (each direction's mean, as text).
    """
    import pandas as pd

    means = _both_directions(split[split["draw"].eq("")])
    groups = means.groupby(_POINT, dropna=False, sort=False)
    table = groups.agg(value=("value", "mean"), seeds=("seed", "nunique"))
    by_seed = means.groupby([*_POINT, "seed"], dropna=False, sort=False)["value"].mean()
    seed_groups = by_seed.groupby(level=_POINT, dropna=False, sort=False)
    table["least"], table["greatest"] = seed_groups.min(), seed_groups.max()
    draws = _both_directions(split[split["draw"].ne("")])
    draw_groups = draws.groupby(_POINT, dropna=False, sort=False)["value"]
    for end, of_draws in (("low", draw_groups.min()), ("high", draw_groups.max())):
        complete = groups[end].count() == groups[end].size()
        table[end] = groups[end].mean().where(complete).fillna(of_draws)
    table["detail"] = _directions(split[split["draw"].eq("")])
    table = table.reset_index()
    table["detail"] = table["detail"].fillna("")
    return pd.DataFrame(table)


def by_seed(split: "pd.DataFrame") -> "pd.DataFrame":
    """Return the trained encoders' scores of both directions, one row per seed.

    Returns:
        ``SERIES``, layer, seed, value, low, high.
    """
    means = _both_directions(split[split["encoder"].eq(TRAINED)])
    groups = means.groupby([*SERIES, "layer", "seed"], dropna=False, sort=False)
    return groups[["value", "low", "high"]].mean().reset_index()


def _both_directions(split: "pd.DataFrame") -> "pd.DataFrame":
    """Keep the rows of a point that stand for both directions, or all if there are none."""
    one_way = split["language"].str.contains(">", regex=False)
    has_mean = (~one_way).groupby([split[key] for key in _POINT], dropna=False).transform("any")
    return split[~(one_way & has_mean.astype(bool))]


def _directions(split: "pd.DataFrame") -> "pd.Series[str]":
    one_way = split[split["language"].str.contains(">", regex=False)]
    means = one_way.groupby([*_POINT, "language"], dropna=False, sort=False)["value"].mean()
    texts = means.reset_index()
    texts["detail"] = [
        f"{language} {value:.3f}"
        for language, value in zip(texts["language"], texts["value"], strict=True)
    ]
    return texts.groupby(_POINT, dropna=False, sort=False)["detail"].agg(", ".join)


def compare(points: "pd.DataFrame") -> "pd.DataFrame":
    """Set every layer of a trained encoder against the random encoders and chance.

    A score's range is its 95 % interval, or where it has none (CKA) the range over seeds. The
    standing is ``above`` if the range and every seed's score lie above chance and above every
    random encoder, ``below`` if they lie below every random encoder, ``unclear`` in between, and
    ``unknown`` without a random encoder.

    Args:
        points: From ``average``.

    Returns:
        One row per layer, sorted by layer within a series: ``SERIES``, layer, value, low, high,
        least, greatest, seeds, random, random_low, random_high, chance, standing.
    """
    index = [*SERIES, "layer"]
    random = points.loc[points["encoder"].eq(RANDOM), [*index, "value", "low", "high"]]
    random = random.set_axis([*index, "random", "random_low", "random_high"], axis=1)
    random["random_low"] = random["random_low"].fillna(random["random"])
    random["random_high"] = random["random_high"].fillna(random["random"])
    chance = points[points["encoder"].eq(CHANCE)].groupby(SERIES)["value"].mean()
    table = points[points["encoder"].eq(TRAINED)].drop(columns=["encoder", "detail"])
    table = table.merge(random, on=index, how="left")
    table = table.merge(chance.rename("chance").reset_index(), on=SERIES, how="left")

    lower, upper = np.fmin(table["low"], table["least"]), np.fmax(table["high"], table["greatest"])
    roof = np.fmax(table["random_high"], table["chance"])
    table["standing"] = np.select(
        [table["random"].isna(), lower > roof, upper < table["random_low"]],
        [UNKNOWN, ABOVE, BELOW],
        UNCLEAR,
    )
    return table.sort_values("layer", kind="stable").reset_index(drop=True)
