"""The verb ``study compare``: two studies, or two runs of one, compared score by score."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from xling import formatting
from xling.csv_tables import write_table
from xling.errors import XlingError
from xling.estimate import HALF_WIDTH, NOTHING, Cell, Measured, estimate, standard_error, total
from xling.files import JsonObject, atomic_file, read_json
from xling.influence import Floats, read_influence
from xling.results import ABOVE, BELOW, ENDS, KEY, OF_RUN, RESULTS, read_scores, standing
from xling.study.results import DESCRIPTION

if TYPE_CHECKING:
    import pandas as pd

OF_SCORE = ["variant", "pair", *KEY]
ONLY_A, ONLY_B = "only in A", "only in B"
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
    influence = [_influence(*of) for of in zip((a, b), described, strict=True)]
    table = differences(results[0], results[1], influence[0], influence[1])
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
    table = read_scores(path, OF_RUN)
    if table.empty:
        raise XlingError(f"{path}: has no scores yet; `xling study status {folder}` says why")
    return table


def _description(folder: Path) -> JsonObject:
    found: JsonObject = read_json(folder / DESCRIPTION)
    return found


def _influence(folder: Path, described: JsonObject) -> "OfItems":
    """Return the influence values of test items on every score of a study's finished jobs."""
    found: OfItems = {}
    for run in described.get("runs", ()):
        jobs = (folder / job for job in run.get("scores", ()))
        for key, values in read_influence(jobs).items():
            found[run["variant"], run["pair"], *key, run["seed"]] = values
    return found


def _settings(described: JsonObject) -> JsonObject:
    config = described.get("config", {})
    return {key: value for key, value in config.items() if key not in _WORDS_ONLY}


def _changes(what: str, a: object, b: object) -> str:
    rows = [(key, _short(one), _short(other)) for key, one, other in settings_that_differ(a, b)]
    if not rows:
        return f"{what}: the same"
    return f"{what} that differ\n" + formatting.as_columns([("", "A", "B"), *rows], left=3)


def _short(value: object) -> str:
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
    clear = np.isin(standing(changed["low"], changed["high"], 0, 0), (ABOVE, BELOW))
    return (
        f"scores: {formatting.count(len(changed))} of {number} in both differ; for "
        f"{formatting.count(int(clear.sum()))} the interval excludes zero (by chance alone, one in "
        "twenty would)"
    )


_HEADS = (
    *("variant", "pair", "dataset", "language", "condition", "metric", "layer"),
    *("A", "B", "B - A", "95 % interval", "interval from"),
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
            f"{probe}, the largest changes first\n{formatting.as_columns(lines, left=6)}{rest}"
        )
    return parts


def _line(row: "pd.Series") -> tuple[str, ...]:
    import pandas as pd

    sure = not pd.isna(row["low"])
    return (
        row["variant"],
        row["pair"],
        "" if pd.isna(row["dataset"]) else str(row["dataset"]),
        row["direction"] or row["language"],
        row["condition"] + ("" if pd.isna(row["draw"]) else f" {row['draw']}"),
        row["metric"],
        "" if pd.isna(row["layer"]) else str(row["layer"]),
        formatting.score(row["a"]),
        formatting.score(row["b"]),
        _signed(row["difference"]),
        f"[{_signed(row['low'])}, {_signed(row['high'])}]" if sure else "",
        row["basis"] if sure else "",
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


# From variant, pair, ``KEY`` and seed to influence values.
OfItems = dict[tuple[object, ...], Floats]


def differences(
    a: "pd.DataFrame",
    b: "pd.DataFrame",
    of_a: Mapping[tuple[object, ...], Floats] | None = None,
    of_b: Mapping[tuple[object, ...], Floats] | None = None,
) -> "pd.DataFrame":
    """Match the scores of two tables of results and subtract.

    The 95 % interval is made as for the claims (`xling.estimate`), from the differences by seed:
    it uses the seeds and the test items that both studies have in common. Without a common seed
    the difference is that of the means, and has no interval.

    Args:
        a: A study's table of scores.
        b: That of the other.
        of_a: Influence values of A's test items; without them the scores' own intervals count.
        of_b: The same of B.

    Returns:
        One row per score, the largest changes first, then what is only in one: ``OF_SCORE``, a, b
        (means over common seeds, or over all if none are), difference (b - a), low, high, basis (of
        the interval), equal (both have the same seeds and the same values).
    """
    import pandas as pd

    one, other = _measured(a, of_a or {}), _measured(b, of_b or {})
    rows = [
        (*key, *_compared(one.get(key), other.get(key))) for key in dict.fromkeys([*one, *other])
    ]
    table = pd.DataFrame(rows, columns=[*OF_SCORE, "a", "b", "difference", *ENDS, "basis", "equal"])
    table = table.astype({"layer": "Int64", "draw": "Int64"})
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


_BySeed = dict[int, Measured]


def _measured(
    results: "pd.DataFrame", influence: Mapping[tuple[object, ...], Floats]
) -> dict[tuple[object, ...], _BySeed]:
    import pandas as pd

    found: dict[tuple[object, ...], _BySeed] = {}
    columns = results[[*OF_SCORE, "seed", "value", *ENDS]]
    for *key, seed, value, low, high in columns.itertuples(index=False, name=None):
        of = tuple(None if pd.isna(cell) else cell for cell in key)
        values = influence.get((*of, seed))
        error = (high - low) / 2 / HALF_WIDTH if values is None else standard_error(values)
        found.setdefault(of, {})[int(seed)] = Measured(value, error, values)
    return found


def _compared(a: _BySeed | None, b: _BySeed | None) -> tuple[object, ...]:
    nan = float("nan")
    if a is None or b is None:
        alone = (_mean(side) if side else nan for side in (a, b))
        return (*alone, nan, nan, nan, ONLY_B if a is None else ONLY_A, False)
    common = sorted(a.keys() & b.keys())
    if not common:
        means = _mean(a), _mean(b)
        return (*means, means[1] - means[0], nan, nan, NOTHING, False)
    cells = []
    for seed in common:
        change = total([b[seed], a[seed].times(-1)])
        cells.append(Cell("", seed, change.value, change.error, change.influence))
    found = estimate(cells)
    assert found is not None
    means = _mean({s: a[s] for s in common}), _mean({s: b[s] for s in common})
    equal = a.keys() == b.keys() and all(cell.value == 0 for cell in cells)
    return (*means, found.value, found.low, found.high, found.basis, equal)


def _mean(scores: _BySeed) -> float:
    return fmean(score.value for score in scores.values())


def settings_that_differ(
    a: object, b: object, below: tuple[str, ...] = ()
) -> Iterator[tuple[str, object, object]]:
    """Yield (key, value in A, value in B) of nested settings; None where there is none."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from settings_that_differ(a.get(key), b.get(key), (*below, str(key)))
    elif a != b:
        yield ".".join(below), a, b
