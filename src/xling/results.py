"""The table of scores: its columns, how it is read, written and joined, intervals and verdicts.

Every stage that measures writes ``scores.csv``, one row per score, with the columns of `Score`. A
study joins them to ``results.csv`` with study, variant, pair and seed in front.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xling.csv_tables import Number, read_table, write_table
from xling.errors import XlingError
from xling.files import atomic_file
from xling.names import pair_languages, pair_name

if TYPE_CHECKING:
    import pandas as pd

SCORES, EMERGENCE, RESULTS = "scores.csv", "emergence.csv", "results.csv"
TRAINED, UNTRAINED, UNMAPPED, SUPERVISED = "trained", "untrained", "unmapped", "supervised"
STATIC, DEV, GAP, CHANCE = "static", "dev", "gap", "chance"
ABOVE, UNCLEAR, BELOW, UNKNOWN = "above", "unclear", "below", "unknown"
ENDS = ("low", "high")


@dataclass(frozen=True, slots=True)
class Key:
    """What distinguishes a score from all others of its table.

    Attributes:
        probe: What was measured, e.g. ``retrieval`` or ``transfer-ner``.
        dataset: What it was measured on.
        language: The language tested, or the pair (``en-fr``) if the score is of both together.
        direction: ``en>fr`` if the score is of one direction only; a pair's own row is of both.
        layer: Which layer of the model, 0 for the embeddings; None for scores of a whole model.
        condition: ``trained`` for the model as it is; else what was changed (``untrained``,
            ``unmapped``, ``supervised``), what is compared (``dev``, ``gap``), or the baseline
            (``chance``, ``static``, ``majority``, ``lookup``, ``neighbour``); see `combined`.
        draw: Seed of the untrained model; None for the mean of several and for all other scores.
        metric: Name of the score.
    """

    probe: str = ""
    dataset: str = ""
    language: str = ""
    direction: str = ""
    layer: int | None = None
    condition: str = TRAINED
    draw: int | None = None
    metric: str = ""

    def __iter__(self) -> Iterator[object]:
        """Yield the fields in order, as a row of a table."""
        return (getattr(self, field.name) for field in fields(self))

    def _replace(self, **changes: Any) -> Self:
        """Return it with some fields changed."""
        return replace(self, **changes)

    def score(
        self,
        value: float,
        low: float | None = None,
        high: float | None = None,
        n: int | None = None,
    ) -> "Score":
        """Return the score of this key with a number."""
        return Score(
            **{name: getattr(self, name) for name in KEY}, value=value, low=low, high=high, n=n
        )


@dataclass(frozen=True, slots=True)
class Score(Key):
    """One row of the table: a key, and the number.

    Attributes:
        value: The number.
        low: Lower end of its 95 % interval; None if it has none.
        high: Upper end.
        n: How many items (lines, sentences, words) it rests on; None if that is not known.
    """

    value: float = float("nan")
    low: float | None = None
    high: float | None = None
    n: int | None = None

    @property
    def key(self) -> Key:
        """What distinguishes it from all others."""
        return Key(**{name: getattr(self, name) for name in KEY})


KEY = tuple(field.name for field in fields(Key))
COLUMNS = tuple(field.name for field in fields(Score))
OF_RUN = ("study", "variant", "pair", "seed")
RESULT_COLUMNS = (*OF_RUN, *COLUMNS)
EMERGENCE_COLUMNS = (*OF_RUN, "step", *COLUMNS)
_NUMBERS: dict[str, Number] = {
    **dict.fromkeys(("seed", "step", "layer", "draw", "n"), "Int64"),
    **dict.fromkeys(("value", *ENDS), "float64"),
}
# Columns of tables from when a metric's name held the condition and intervals were separate rows.
_PACKED = ("probe", "dataset", "language", "layer", "metric", "value")


def combined(*conditions: str) -> str:
    """Name several conditions that hold at once.

    Example:
        >>> combined(UNTRAINED, DEV), combined(TRAINED, DEV), combined(TRAINED)
        ('untrained-dev', 'dev', 'trained')
    """
    return "-".join(one for one in conditions if one != TRAINED) or TRAINED


def over_draws(scores: Iterable[Score]) -> list[Score]:
    """Average the scores of several untrained models; the means have no interval."""
    found: dict[Key, list[Score]] = {}
    for score in scores:
        found.setdefault(score.key._replace(draw=None), []).append(score)
    return [
        key.score(float(np.mean([one.value for one in draws])), n=draws[0].n)
        for key, draws in found.items()
    ]


def as_table(scores: Iterable[Score]) -> "pd.DataFrame":
    """Return scores as a data frame."""
    import pandas as pd

    frame = pd.DataFrame(map(tuple, scores), columns=list(COLUMNS))
    return frame.astype({name: kind for name, kind in _NUMBERS.items() if name in COLUMNS})


def as_scores(frame: "pd.DataFrame") -> list[Score]:
    """Return the rows of a table of scores; the reverse of `as_table`."""
    plain = frame[list(COLUMNS)].astype(object).where(frame.notna(), None)
    scores = [Score(*row) for row in plain.itertuples(index=False, name=None)]
    return [
        score._replace(layer=_whole(score.layer), draw=_whole(score.draw), n=_whole(score.n))
        for score in scores
    ]


def _whole(number: float | None) -> int | None:
    return None if number is None else int(number)


def write_scores(frame: "pd.DataFrame", path: Path) -> None:
    """Write a table of scores as CSV."""
    with atomic_file(path) as file:
        write_table(frame, file)


def read_scores(path: Path, front: Sequence[str] = ()) -> "pd.DataFrame":
    """Read a table of scores, also one of an earlier version.

    Args:
        path: The file.
        front: Columns that it must have before those of `Score`.

    Returns:
        The columns of ``front`` and of `Score`; if a score has several rows, only the last; no
        row without a value.

    Raises:
        XlingError: it is missing, lacks a column, or holds a value that is no number.
    """
    frame = read_table(path, _NUMBERS, filled=("seed", "step"))
    packed = not set(frame.columns) & (set(COLUMNS) - set(_PACKED))
    columns = [*front, *COLUMNS]
    absent = [name for name in (*front, *(_PACKED if packed else COLUMNS)) if name not in frame]
    if absent:
        raise XlingError(
            f"{path}: column {', '.join(absent)} missing; expected {', '.join(columns)}"
        )
    if packed:
        frame = _unpacked(frame)
    frame = frame[columns].dropna(subset=["value"])
    frame = frame.drop_duplicates([*front, *KEY], keep="last")
    return frame.reset_index(drop=True)


def joined(tables: Iterable[tuple[Mapping[str, str | int], "pd.DataFrame"]]) -> "pd.DataFrame":
    """Put tables below each other, with columns in front that say what each is of.

    Args:
        tables: For each table its values of ``OF_RUN``, and the table.
    """
    import pandas as pd

    frames = []
    for run, frame in tables:
        frames.append(frame.copy())
        for place, name in enumerate(OF_RUN):
            frames[-1].insert(place, name, run[name])
    return (
        pd.concat(frames, ignore_index=True)
        if frames
        else pd.DataFrame(columns=list(RESULT_COLUMNS))
    )


def _unpacked(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Convert a table of an earlier version: ``random-1:p@1``, ``p@1-low``, language ``en>fr``."""
    import pandas as pd

    index = [name for name in frame.columns if name != "value"]
    parts = frame["metric"].str.extract(r"^(?P<of>.+)-(?P<end>low|high)$")
    named = frame[index].assign(metric=parts["of"])
    # An end needs a score that it belongs to: a metric's own name may end in -low or -high.
    of_score = pd.MultiIndex.from_frame(named).isin(pd.MultiIndex.from_frame(frame[index]))
    table = frame[~of_score]
    for end in ENDS:
        rows = of_score & parts["end"].eq(end).to_numpy()
        bound = named[rows].assign(**{end: frame.loc[rows, "value"]})
        table = table.merge(bound.drop_duplicates(index, keep="last"), on=index, how="left")
    columns: Any = zip(*map(unpacked_name, table["metric"]), strict=True)
    condition, draw, metric = columns if len(table) else ((), (), ())
    models = table["pair"] if "pair" in table else [""] * len(table)
    pairs = _pairs(zip(models, table["language"], strict=True))
    table = table.assign(
        direction=table["language"].where(table["language"].str.contains(">", regex=False), ""),
        language=[pairs.get(of, of[1]) for of in zip(models, table["language"], strict=True)],
        condition=condition,
        metric=metric,
        n=None,
    )
    table["draw"] = pd.array(list(draw), dtype="Int64")
    return table.astype({name: kind for name, kind in _NUMBERS.items() if name in table})


def _pairs(named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the names of a model's pairs, by each direction and by both."""
    found: dict[tuple[str, str], str] = {}
    known = dict.fromkeys(named)
    for model, way in known:
        if ">" in way and (model, way) not in found:
            ways = way.split(">")
            if {(model, pair_name(ways[::-1])), (model, "-".join(ways[::-1]))} & known.keys():
                ways.reverse()
            names = (">".join(ways), ">".join(ways[::-1]), "-".join(ways))
            found |= dict.fromkeys(((model, name) for name in names), pair_name(ways))
    return found


def unpacked_name(metric: str) -> tuple[str, int | None, str]:
    """Return condition, draw and metric of a name that an earlier version wrote.

    Example:
        >>> unpacked_name("random-1:p@1"), unpacked_name("random:dev:f1")
        (('untrained', 1, 'p@1'), ('untrained-dev', None, 'f1'))
    """
    *before, name = metric.split(":")
    draw, conditions = None, []
    for prefix in before:
        found = re.fullmatch(r"random(?:-(\d+))?", prefix)
        draw = int(found[1]) if found and found[1] else draw
        conditions.append(UNTRAINED if found else prefix)
    return combined(*conditions), draw, name


def of_targets(frame: "pd.DataFrame") -> "pd.Series[bool]":
    """Tell which rows of a joined table are of target languages, or of both directions."""
    base = frame["pair"].map(lambda pair: pair_languages(pair)[0])
    return frame["direction"].eq("") & frame["language"].ne(base)


def with_intervals(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Give the mean of both directions the mean of their intervals, if it has no interval.

    The spread of a mean is at most the mean of the spreads, so such an interval is, if anything,
    too wide.
    """
    keys = [name for name in frame if name not in ("direction", "value", *ENDS, "n")]
    ways = frame.loc[frame["direction"].ne(""), [*keys, *ENDS]].dropna(subset=list(ENDS))
    if ways.empty:
        return frame
    means = ways.groupby(keys, dropna=False, sort=False).mean().reset_index()
    lent = frame[keys].merge(means, on=keys, how="left").set_index(frame.index)
    bare = frame["direction"].eq("") & frame["low"].isna()
    return frame.assign(**{end: frame[end].where(~bare, lent[end]) for end in ENDS})


def over_seeds(frame: "pd.DataFrame", keys: Sequence[str]) -> "pd.DataFrame":
    """Average scores that have the same keys, over seeds and whatever else tells them apart.

    The ends of intervals are averaged too: they cover the choice of test items, not that of seeds.

    Returns:
        One row per combination of keys, in order of appearance: the keys, value, seeds (their
        number), least and greatest (of the seeds' means), low and high (missing unless all have
        them).
    """
    import pandas as pd

    groups = frame.groupby(list(keys), dropna=False, sort=False)
    table = groups.agg(value=("value", "mean"), seeds=("seed", "nunique"))
    by_seed = frame.groupby([*keys, "seed"], dropna=False, sort=False)["value"].mean()
    of_seeds = by_seed.groupby(level=list(keys), dropna=False, sort=False)
    table["least"], table["greatest"] = of_seeds.min(), of_seeds.max()
    for end in ENDS:
        table[end] = groups[end].mean().where(groups[end].count() == groups[end].size())
    return pd.DataFrame(table.reset_index())


def standing(
    low: ArrayLike, high: ArrayLike, floor: ArrayLike, roof: ArrayLike
) -> NDArray[np.str_]:
    """Judge intervals against bounds: the one rule for every verdict.

    Args:
        low: Lower ends of the intervals.
        high: Upper ends.
        floor: A number below it is below the bound.
        roof: A number above it is above the bound.

    Returns:
        ``above`` where all of the interval lies above the roof, ``below`` where all of it lies
        below the floor, ``unknown`` where an end or a bound is missing, and ``unclear`` elsewhere.

    Example:
        >>> standing([0.2, 0.0, float("nan")], [0.4, 0.2, 0.1], 0.1, 0.1).tolist()
        ['above', 'unclear', 'unknown']
    """
    ends = [np.asarray(one, dtype=float) for one in (low, high, floor, roof)]
    missing = np.isnan(np.stack(np.broadcast_arrays(*ends))).any(axis=0)
    return np.select(
        [missing, ends[0] > ends[3], ends[1] < ends[2]], [UNKNOWN, ABOVE, BELOW], UNCLEAR
    )
