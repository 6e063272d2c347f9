"""The table of scores: its columns, and how the scores of the stages become one."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling.csv_tables import read_table
from xling.names import pair_name

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("probe", "dataset", "language", "direction", "layer", "condition", "draw", "metric"),
    *("value", "low", "high", "n"),
)
_ENDS = ("low", "high")


def as_table(scores: Iterable[Sequence[Any]]) -> "pd.DataFrame":
    """Return scores as a data frame.

    Args:
        scores: Rows (probe, dataset, language, layer, metric, value), in which metric holds the
            condition (``random-1:p@1``), and the ends of intervals are rows of their own.
    """
    import pandas as pd

    found = {
        (*row[:3], None if pd.isna(row[3]) else int(row[3]), row[4]): float(row[5])
        for row in scores
    }
    pairs = {key[2] for key in found}
    rows = []
    for key, value in found.items():
        probe, dataset, language, layer, metric = key
        of, _, end = metric.rpartition("-")
        if end in _ENDS and (*key[:4], of) in found:
            continue
        *before, name = metric.split(":")
        conditions = ["untrained" if part.startswith("random") else part for part in before]
        draws = [int(part.removeprefix("random-")) for part in before if "random-" in part]
        direction, sides = "", language.split(">")
        if len(sides) == 2:
            direction = language
            language = next(iter({pair_name(sides), pair_name(sides[::-1])} & pairs), direction)
        where = (probe, dataset, language, direction, layer, "-".join(conditions) or "trained")
        ends = [found.get((*key[:4], f"{metric}-{end}")) for end in _ENDS]
        rows.append([*where, next(iter(draws), None), name, value, *ends, None])
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    whole, real = ("layer", "draw", "n"), ("value", *_ENDS)
    return frame.astype({**dict.fromkeys(whole, "Int64"), **dict.fromkeys(real, "float64")})


def read_scores(path: Path) -> "pd.DataFrame":
    """Read the table of scores that a stage has written."""
    frame = read_table(path, {"layer": "Int64", "value": "float64"})
    return as_table(frame.itertuples(index=False))
