"""The verb ``study compare``: two studies, or two runs of one, side by side."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.csv_tables import write_table
from xling.errors import XlingError
from xling.files import atomic_file, read_json
from xling.report.load import read_results
from xling.study.results import DESCRIPTION, RESULTS
from xling.study.score_differences import (
    ONLY_A,
    ONLY_B,
    differences,
    settings_that_differ,
)

if TYPE_CHECKING:
    import pandas as pd

_WORDS_ONLY = ("title", "description")
_ROWS = 12  # of a table on the terminal; the file has all
_LONGEST = 60


def compare_studies(a: Path, b: Path, out: Path | None) -> str:
    """Return what differs between two studies: settings, versions and scores.

    Args:
        a: Folder of a study with results, finished or not.
        b: Folder of another, or of another run of the same.
        out: Where to write every score's difference as CSV; None to write no file.

    Raises:
        XlingError: a folder without results, or a damaged file in it.
    """
    results = [_results(folder) for folder in (a, b)]
    described = [_description(folder) for folder in (a, b)]
    table = differences(*results)
    if out is not None:
        with atomic_file(out) as file:
            write_table(table, file)
    parts = [
        f"A  {a}\nB  {b}",
        _changes("settings", *(_settings(found) for found in described)),
        _changes("versions", *(found.get("versions", {}) for found in described)),
        _verdict(table),
        *_tables(table, out),
        *_only_in_one(table),
    ]
    return "\n\n".join(parts)


def _results(folder: Path) -> "pd.DataFrame":
    path = folder / RESULTS
    if not path.is_file():
        raise XlingError(
            f"{folder}: holds no {RESULTS}; expected a study's folder. If its jobs are done, "
            f"`xling report {folder}` writes it"
        )
    table = read_results(path)
    if table.empty:
        raise XlingError(f"{path}: has no scores yet; `xling study status {folder}` says why")
    return table


def _description(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(folder / DESCRIPTION)
    return found


def _settings(described: dict[str, Any]) -> dict[str, Any]:
    config = described.get("config", {})
    return {key: value for key, value in config.items() if key not in _WORDS_ONLY}


def _changes(what: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    rows = [(key, _short(one), _short(other)) for key, one, other in settings_that_differ(a, b)]
    if not rows:
        return f"{what}: the same"
    return f"{what} that differ\n" + formatting.as_columns([("", "A", "B"), *rows], left=3)


def _short(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _verdict(table: "pd.DataFrame") -> str:
    both = table[table["difference"].notna() | ~table["basis"].isin([ONLY_A, ONLY_B])]
    alone = len(table) - len(both)
    number = formatting.count(len(both))
    if not len(both):
        return "scores: no score is in both"
    if both["equal"].all():
        return (
            f"scores: every score is equal ({number})"
            if not alone
            else f"scores: every score that is in both is equal ({number})"
        )
    changed = both[~both["equal"]]
    clear = (changed["low"] > 0) | (changed["high"] < 0)
    return (
        f"scores: {formatting.count(len(changed))} of {number} in both differ; of "
        f"{formatting.count(int(clear.sum()))} the interval leaves zero out (with so many, some do "
        "by chance: one in twenty)"
    )


_HEADS = (
    *("variant", "pair", "dataset", "language", "metric", "layer"),
    *("A", "B", "B - A", "95 % interval", "from"),
)


def _tables(table: "pd.DataFrame", out: Path | None) -> list[str]:
    """Return one table per probe of the scores that changed, the largest changes first."""
    changed = table[~table["equal"] & ~table["basis"].isin([ONLY_A, ONLY_B])]
    parts = []
    for probe, rows in changed.groupby("probe", sort=False):
        lines: list[tuple[str, ...]] = [_HEADS]
        lines += [_line(row) for _, row in rows.head(_ROWS).iterrows()]
        more = len(rows) - _ROWS
        rest = (
            ""
            if more <= 0
            else f"\n  and {formatting.count(more)} more"
            + (f" in {out}" if out else "; --out FILE writes all")
        )
        parts.append(
            f"{probe}, the largest changes first\n{formatting.as_columns(lines, left=5)}{rest}"
        )
    return parts


def _line(row: "pd.Series") -> tuple[str, ...]:
    import pandas as pd

    sure = not pd.isna(row["low"])
    return (
        row["variant"],
        row["pair"],
        "" if pd.isna(row["dataset"]) else str(row["dataset"]),
        str(row["language"]),
        row["metric"],
        "" if pd.isna(row["layer"]) else str(row["layer"]),
        formatting.score(row["a"]),
        formatting.score(row["b"]),
        _signed(row["difference"]),
        f"[{_signed(row['low'])}, {_signed(row['high'])}]" if sure else "",
        row["basis"],
    )


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{formatting.score(abs(value))}"


def _only_in_one(table: "pd.DataFrame") -> list[str]:
    parts = []
    for basis in (ONLY_A, ONLY_B):
        rows = table[table["basis"].eq(basis)]
        if not len(rows):
            continue
        groups = rows.groupby(["variant", "pair", "probe"], sort=False).size()
        counts: Any = groups.items()
        lines = [
            (str(variant), str(pair), str(probe), f"{formatting.count(number)} scores")
            for (variant, pair, probe), number in counts
        ]
        parts.append(f"{basis}\n{formatting.as_columns(lines, left=3)}")
    return parts
