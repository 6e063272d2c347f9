"""How far two studies' scores differ, score by score, and how sure that is."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from xling.results import ENDS, Key

if TYPE_CHECKING:
    import pandas as pd

KEY = ["variant", "pair", *Key._fields]
_SEEDS = "|"  # between the seeds of a cell
PAIRED, WELCH, ITEMS, NONE = "paired by seed", "Welch over seeds", "test items", ""
ONLY_A, ONLY_B = "only in A", "only in B"


def differences(a: "pd.DataFrame", b: "pd.DataFrame") -> "pd.DataFrame":
    """Match the scores of two tables of results and subtract.

    The 95 % interval of a difference rests on what there is: with two or more common seeds on the
    differences by seed (t); else with two or more seeds on each side on both spreads (Welch);
    else on the scores' own intervals over test items, which are added as Newcombe (1998, method
    10) does; since both were tested on the same items, that is too wide if anything.

    Args:
        a: A study's table of scores.
        b: The others.

    Returns:
        One row per score, the largest changes first, then what is only in one: ``KEY``, a, b (means
        over common seeds, or over all if fewer than two are common and both have more, or none
        are), difference (b - a), low, high, basis, seeds_a, seeds_b, equal (every common
        seed has the same value, and both have the same seeds).
    """
    import pandas as pd

    one, other = _scores(a), _scores(b)
    keys = list(dict.fromkeys([*one, *other]))
    rows = [(*key, *_compared(one.get(key), other.get(key))) for key in keys]
    columns = [*KEY, "a", "b", "difference", *ENDS, "basis", "seeds_a", "seeds_b", "equal"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.astype({"layer": "Int64", "draw": "Int64"})
    order = table["difference"].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index(drop=True)


# Of a score: for each seed its value, low and high.
_BySeed = dict[int, tuple[float, float, float]]


def _scores(results: "pd.DataFrame") -> dict[tuple[Any, ...], _BySeed]:
    import pandas as pd

    found: dict[tuple[Any, ...], _BySeed] = {}
    for row in results[[*KEY, "seed", "value", *ENDS]].itertuples(index=False, name=None):
        key = tuple(None if pd.isna(cell) else cell for cell in row[: len(KEY)])
        found.setdefault(key, {})[int(row[len(KEY)])] = row[len(KEY) + 1 :]
    return found


def _compared(a: _BySeed | None, b: _BySeed | None) -> tuple[Any, ...]:
    nan = float("nan")
    if a is None or b is None:
        basis = ONLY_B if a is None else ONLY_A
        alone = (nan if s is None else _means(s, tuple(s))[0] for s in (a, b))
        return (*alone, nan, nan, nan, basis, _named(a or {}), _named(b or {}), False)
    common = tuple(sorted(a.keys() & b.keys()))
    several = len(a) > 1 and len(b) > 1
    if len(common) > 1 or (common and not several):
        in_a = in_b = common
    else:
        in_a, in_b = tuple(sorted(a)), tuple(sorted(b))
    means = _means(a, in_a), _means(b, in_b)
    difference = means[1][0] - means[0][0]
    if len(common) > 1:
        low, high = paired_interval([b[seed][0] - a[seed][0] for seed in common])
        basis = PAIRED
    elif several:
        low, high = welch_interval([v[0] for v in a.values()], [v[0] for v in b.values()])
        basis = WELCH
    else:
        low, high = newcombe_interval(*means)
        basis = NONE if np.isnan(low) else ITEMS
    equal = a.keys() == b.keys() and all(
        np.array_equal(a[seed], b[seed], equal_nan=True) for seed in common
    )
    seeds = _named(a), _named(b)
    return (means[0][0], means[1][0], difference, low, high, basis, *seeds, equal)


def _means(scores: _BySeed, seeds: Sequence[int]) -> tuple[float, float, float]:
    value, low, high = np.mean([scores[seed] for seed in seeds], axis=0)
    return float(value), float(low), float(high)


def _named(scores: _BySeed) -> str:
    return _SEEDS.join(map(str, sorted(scores)))


def paired_interval(differences: Sequence[float]) -> tuple[float, float]:
    """95 % t interval of the mean of differences."""
    from scipy import stats

    mean, count = np.mean(differences), len(differences)
    half = stats.t.ppf(0.975, count - 1) * np.std(differences, ddof=1) / np.sqrt(count)
    return float(mean - half), float(mean + half)


def welch_interval(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """95 % interval of mean(b) - mean(a), whose spreads may differ (Welch 1947)."""
    from scipy import stats

    shares = [np.var(side, ddof=1) / len(side) for side in (a, b)]
    difference, variance = np.mean(b) - np.mean(a), sum(shares)
    if variance == 0:
        return float(difference), float(difference)
    freedom = variance**2 / sum(
        share**2 / (len(side) - 1) for share, side in zip(shares, (a, b), strict=True)
    )
    half = stats.t.ppf(0.975, freedom) * np.sqrt(variance)
    return float(difference - half), float(difference + half)


def newcombe_interval(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> tuple[float, float]:
    """95 % interval of b - a from the interval of each; missing if one has none.

    Args:
        a: Value, low and high.
        b: The same of the other.
    """
    difference = b[0] - a[0]
    down = np.hypot(b[0] - b[1], a[2] - a[0])
    up = np.hypot(b[2] - b[0], a[0] - a[1])
    return float(difference - down), float(difference + up)


def settings_that_differ(
    a: Any, b: Any, below: tuple[str, ...] = ()
) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, value in A, value in B) of nested settings; None where there is none."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from settings_that_differ(a.get(key), b.get(key), (*below, str(key)))
    elif a != b:
        yield ".".join(below), a, b
