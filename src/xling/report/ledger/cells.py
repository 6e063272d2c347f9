"""Scores of one kind by pair and seed, with the error that the choice of test items makes."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xling.report.ledger.claim import Layers, Score, Term

if TYPE_CHECKING:
    import pandas as pd

CELL = ["pair", "seed"]
_SERIES = [*CELL, "dataset", "target"]
_HALF_WIDTH = 1.959964  # of a normal 95 % interval, in standard errors
_ENDS = ("", "-low", "-high")


@dataclass(frozen=True)
class Reading:
    """Which rows of the results to read.

    Attributes:
        probe: The probe.
        metric: The metric, with what stands before it.
        variant: The variant.
        layers: Which layers.
        inverse: Whether to take one over the value.
    """

    probe: str
    metric: str
    variant: str
    layers: Layers = "none"
    inverse: bool = False


def reading(term: Term, score: Score) -> Reading:
    """Say where a term's score stands."""
    layers = term.layers or score.layers
    if not term.baseline:
        return Reading(score.probe, term.condition + score.metric, term.variant, layers)
    base = score.baseline
    return Reading(
        base.probe or score.probe,
        base.condition + (base.metric or score.metric),
        base.variant or term.variant,
        layers,
        base.inverse,
    )


def score_cells(results: "pd.DataFrame", wanted: Reading) -> "pd.DataFrame":
    """Return a score by pair and seed.

    Only scores of target languages, or of both directions, count. Several targets and data sets
    are averaged, their errors taken as independent; those of several layers, which read the same
    items, as one.

    Args:
        results: The tidy table, as ``load.read_results`` returns it.
        wanted: Which rows.

    Returns:
        One row a pair and seed: pair, seed, value, error (standard error over test items; missing
        where the score has no interval).
    """
    series = _with_layers(_values(results, wanted), wanted.layers)
    if wanted.inverse:
        series = series[series["value"].ne(0)]
        series = series.assign(value=1 / series["value"], error=float("nan"))
    groups = series.assign(squared=series["error"] ** 2).groupby(CELL, sort=False)
    cells = groups.agg(value=("value", "mean"), count=("value", "size"), found=("error", "count"))
    cells["error"] = (groups["squared"].sum() ** 0.5 / cells["count"]).where(
        cells["found"].eq(cells["count"])
    )
    return cells.reset_index()[[*CELL, "value", "error"]]


def _values(results: "pd.DataFrame", wanted: Reading) -> "pd.DataFrame":
    """Return value and error of each target, data set and layer."""
    metrics = [wanted.metric + end for end in _ENDS]
    rows = results[
        results["probe"].eq(wanted.probe)
        & results["variant"].eq(wanted.variant)
        & results["metric"].isin(metrics)
    ]
    base = rows["pair"].str.split("-").str[0]
    rows = rows[rows["language"].ne(base)]
    # Both directions have one target; a mean of directions may have no interval of its own.
    rows = rows.assign(
        target=[_target(language) for language in rows["language"]],
        one_way=rows["language"].str.contains(">", regex=False),
    )
    key = [*_SERIES, "layer"]
    values = rows[rows["metric"].eq(wanted.metric) & ~rows["one_way"]]
    values = values.drop_duplicates(key, keep="last")[[*key, "value"]]
    own, directions = (_errors(rows[rows["one_way"].eq(way)], wanted.metric) for way in (False, True))
    values = values.merge(own, on=key, how="left").merge(
        directions, on=key, how="left", suffixes=("", "_directions")
    )
    values["error"] = values["error"].fillna(values["error_directions"])
    return values.drop(columns="error_directions")


def _target(language: str) -> str:
    return "-".join(sorted(re.split("[->]", language)))


def _errors(rows: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Return standard errors from intervals, averaged over what has the same target."""
    import pandas as pd

    key = [*_SERIES, "layer"]
    low, high = (rows[rows["metric"].eq(metric + end)] for end in _ENDS[1:])
    both = pd.merge(low, high, on=[*key, "language"], suffixes=("_low", "_high"))
    both["error"] = (both["value_high"] - both["value_low"]) / 2 / _HALF_WIDTH
    return both.groupby(key, dropna=False, sort=False)["error"].mean().reset_index()


def _with_layers(values: "pd.DataFrame", layers: Layers) -> "pd.DataFrame":
    """Reduce layers to one value; scores without layers stay as they are."""
    layered = values[values["layer"].notna()]
    if layers == "none" or layered.empty:
        return values[values["layer"].isna()]
    if layers == "best":
        return layered.loc[layered.groupby(_SERIES, sort=False)["value"].idxmax()]
    if layers != "mean":
        depth = layered.groupby(_SERIES, sort=False)["layer"].transform("max")
        third = (3 * layered["layer"] > depth).astype(int) + (3 * layered["layer"] >= 2 * depth)
        layered = layered[third.eq(("lower", "middle", "upper").index(layers))]
    groups = layered.groupby(_SERIES, sort=False)
    reduced = groups.agg(value=("value", "mean"), error=("error", "mean"))
    # The mean of errors is that of their mean only if every layer has one.
    reduced["error"] = reduced["error"].where(groups["error"].count() == groups["error"].size())
    return reduced.reset_index()
