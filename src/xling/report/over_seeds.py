"""Scores of variants over seeds: mean, spread, and the difference from the reference variant."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xling import formatting, results
from xling.report.tables import ABSENT, Cell

if TYPE_CHECKING:
    import pandas as pd

DEFAULT = "default"
BEST, WORST = "best", "worst"
RANK_MARKS = {BEST: " ★", WORST: " ▽", "": ""}


def reference(variants: Sequence[str]) -> str:
    """Return the variant the others are compared with: ``default``, or else the first."""
    return DEFAULT if DEFAULT in variants or not variants else variants[0]


def over_seeds(scores: "pd.DataFrame", base: str) -> "pd.DataFrame":
    """Average scores over seeds and set them against a variant.

    The difference from ``base`` is the mean over the seeds that both have, because seeds are few
    and a variant may have fewer than the base. See `results.over_seeds` for the rest.

    Args:
        scores: One row per seed: variant, column (what is measured; scores of one column can be
            compared), seed, value, low, high.
        base: The variant to compare with.

    Returns:
        One row per variant and column, in order of appearance: variant, column, value, least,
        greatest, seeds, low, high, difference (missing for the base and without common seeds),
        rank (``best`` or ``worst`` of at least three in a column that are not all equal, or empty).
    """
    key = ["variant", "column"]
    table = results.over_seeds(scores, key)
    of_base = scores.loc[scores["variant"].eq(base), ["column", "seed", "value"]]
    paired = scores.merge(of_base, on=["column", "seed"], suffixes=("", "_base"))
    paired = paired[paired["variant"].ne(base)]
    paired = paired.assign(difference=paired["value"] - paired["value_base"])
    differences = paired.groupby(key, sort=False)["difference"].mean().reset_index()
    table = table.merge(differences, on=key, how="left")
    columns = table.groupby("column", sort=False)["value"]
    most, least = columns.transform("max"), columns.transform("min")
    ranked = columns.transform("size").ge(3) & most.gt(least)
    table["rank"] = ""
    table.loc[ranked & table["value"].eq(most), "rank"] = BEST
    table.loc[ranked & table["value"].eq(least), "rank"] = WORST
    return table


def score_cell(row: "pd.Series", further: Sequence[str] = ()) -> Cell:
    """Write one row of :func:`over_seeds`: value and mark, and below it what it rests on.

    Args:
        row: The row.
        further: More lines to put below.
    """
    notes = []
    if row["difference"] == row["difference"]:
        notes.append(f"Δ {row['difference']:+.3f}".replace("-", "\N{MINUS SIGN}"))
    if row["low"] == row["low"]:
        notes.append(f"[{formatting.score(row['low'])}, {formatting.score(row['high'])}]")
    if row["seeds"] > 1:
        notes.append(f"{formatting.score(row['least'])} to {formatting.score(row['greatest'])}")
        notes.append(f"{row['seeds']} seeds")
    kind = f"number {row['rank']}".strip()
    return Cell(formatting.score(row["value"]) + RANK_MARKS[row["rank"]], kind, (*notes, *further))


def no_score() -> Cell:
    """Return the cell of a variant that a column does not have."""
    return Cell(ABSENT, "number")
