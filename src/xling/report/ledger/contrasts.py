"""Weighted sums of scores within a pair and seed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xling.report.ledger.cells import CELL, reading, score_cells
from xling.report.ledger.claim import Contrast, Place, Score, Term

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["group", "seed", "value", "error"]


def places(pairs: Sequence[str]) -> dict[Place, str]:
    """Return the nearest and furthest pair, and the middle one of at least three.

    Args:
        pairs: From near to far.
    """
    if len(pairs) < 2:
        return {}
    found: dict[Place, str] = {"nearest": pairs[0], "furthest": pairs[-1]}
    if len(pairs) > 2:
        found["middle"] = pairs[len(pairs) // 2]
    return found


def contrast_cells(
    results: "pd.DataFrame",
    contrast: Contrast,
    score: str,
    scores: Mapping[str, Score],
    pairs: Sequence[str],
) -> "pd.DataFrame":
    """Sum up a contrast wherever all of its scores are there.

    Args:
        results: The tidy table, as ``load.read_results`` returns it.
        contrast: What to sum.
        score: Which of its scores to test.
        scores: All that there are.
        pairs: The study's pairs from near to far; others do not count.

    Returns:
        One row a pair and seed: group (the pair; the same for all seeds if terms say at which),
        seed, value, error (over test items; missing if a score has no interval). Empty if not
        measured.
    """
    where = places(pairs)
    total: pd.DataFrame | None = None
    # Scores of seeds first: baselines stand for all seeds that those leave.
    for term in sorted(contrast.terms, key=lambda term: term.baseline):
        part = _term(results, term, scores[term.score or score], pairs, where)
        if total is None:
            total = part
            continue
        keys = ["group"] if "seed" not in part else ["group", "seed"]
        total = total.merge(part, on=keys, suffixes=("", "_more"))
        total["value"] += total.pop("value_more")
        total["variance"] += total.pop("variance_more")
    assert total is not None
    return total.assign(error=total["variance"] ** 0.5)[COLUMNS]


def _term(
    results: "pd.DataFrame",
    term: Term,
    score: Score,
    pairs: Sequence[str],
    where: Mapping[Place, str],
) -> "pd.DataFrame":
    """Return a term by group and seed; a baseline, which is known well, by group alone."""
    cells = score_cells(results, reading(term, score))
    if term.at is not None:
        cells = cells[cells["pair"].eq(where.get(term.at, ""))].assign(group="")
    else:
        cells = cells[cells["pair"].isin(pairs)].assign(group=cells["pair"])
    if term.baseline:
        cells = cells.assign(error=cells["error"].fillna(0.0))
        cells = cells.groupby("group", sort=False)[["value", "error"]].mean().reset_index()
    return cells.assign(
        value=term.weight * cells["value"], variance=(term.weight * cells["error"]) ** 2
    ).drop(columns=["error", *(name for name in CELL[:1] if name in cells)])
