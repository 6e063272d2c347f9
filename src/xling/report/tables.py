"""Tables as plain cells for the template, and the cells of scores over seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling import formatting, results

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("variant", "pair", "seed")
ABSENT = "–"
DEFAULT = "default"
BEST, WORST = "best", "worst"
RANK_MARKS = {BEST: " ★", WORST: " ▽", "": ""}


@dataclass(frozen=True)
class Cell:
    """A cell: its text, a word on what it means for the style sheet, and lines in small print."""

    text: str
    kind: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first ``headers`` cells of each row name the row.

    Attributes:
        caption: What it shows.
        columns: Head of each column.
        headers: How many cells name a row.
        rows: The cells.
        groups: Heads over neighbouring columns, each with how many; none, or for all columns
            after those that name the row.
        note: How to read it.
    """

    caption: str
    columns: tuple[str, ...]
    headers: int
    rows: tuple[tuple[Cell, ...], ...]
    groups: tuple[tuple[str, int], ...] = ()
    note: str = ""


def merge_seeds(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    """Join rows that differ in nothing but the seed, their third cell."""
    seeds: dict[tuple[Cell, ...], list[str]] = {}
    for row in rows:
        seeds.setdefault((*row[:2], *row[3:]), []).append(row[2].text)
    return tuple((*row[:2], Cell(", ".join(found)), *row[2:]) for row, found in seeds.items())


def figure(value: object, how: Callable[[Any], str] | str) -> Cell:
    """Return a number's cell, written by a function or a format; a dash if it is none."""
    return Cell(number(value, how), "number")


def number(value: object, how: Callable[[Any], str] | str) -> str:
    """Write a number by a function or a format; a dash if it is none."""
    if not hasattr(value, "__float__") or isinstance(value, bool) or value != value:
        return ABSENT
    return str(how(value) if callable(how) else how.format(value))


def share(value: float) -> str:
    """Write a share in percent, with a decimal where it is below 1 %."""
    return f"{100 * value:.{int(0 < value < 0.00995)}f}\u00a0%"


def interval(low: float, high: float) -> list[str]:
    """Write an interval as a line of small print; no line if there is none."""
    return [f"[{formatting.score(low)}, {formatting.score(high)}]"] if low == low else []


def reference(variants: Sequence[str]) -> str:
    """Return the variant the others are compared with: ``default``, or else the first."""
    return DEFAULT if DEFAULT in variants or not variants else variants[0]


def over_seeds(scores: "pd.DataFrame", base: str) -> "pd.DataFrame":
    """Average scores over seeds and compare them with those of a variant.

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
    notes += interval(row["low"], row["high"])
    if row["seeds"] > 1:
        ends = (formatting.score(row[end]) for end in ("least", "greatest"))
        notes.append(f"{' to '.join(ends)}, {row['seeds']} seeds")
    kind = f"number {row['rank']}".strip()
    return Cell(formatting.score(row["value"]) + RANK_MARKS[row["rank"]], kind, (*notes, *further))


def no_score() -> Cell:
    """Return the cell of a variant that a column does not have."""
    return Cell(ABSENT, "number")
