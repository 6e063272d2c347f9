"""Tables of scores, as plain cells for the template."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.report.scores import CENTRED, CKA, PLAIN, is_by_layer
from xling.results import ABOVE, BELOW, CHANCE, OF_RUN, TRAINED, UNCLEAR, UNKNOWN, Key

if TYPE_CHECKING:
    import pandas as pd

TRANSFER = "transfer-"
NAMES = ("variant", "pair", "seed")
ABSENT = "–"
MARKS = {ABOVE: "▲", UNCLEAR: "=", BELOW: "▼", UNKNOWN: ""}
MEASURES = {PLAIN: "retrieval", CENTRED: "retrieval, centred", CKA: "CKA"}


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


def standing_tables(comparison: "pd.DataFrame", pair: str) -> list[Table]:
    """A pair's retrieval and CKA by layer, each score marked against the untrained encoders."""
    tables = []
    for measure in (PLAIN, CKA):
        chosen = comparison[comparison["pair"].eq(pair) & comparison["measure"].eq(measure)]
        layers = _layers(chosen)
        rows = []
        groups: Any = chosen.groupby(["variant", "dataset", "tokens"], sort=False)
        for key, series in groups:
            cells = {
                int(row.layer): Cell(
                    f"{formatting.score(row.value)} {MARKS[row.standing]}", row.standing
                )
                for row in series.itertuples()
            }
            rows.append(
                (*map(Cell, key), *(cells.get(layer, Cell(ABSENT, UNKNOWN)) for layer in layers))
            )
        if rows:
            name = "Retrieval (precision@1)" if measure == PLAIN else "Similarity (linear CKA)"
            columns = ("variant", "data set", "tokens", *_layer_heads(layers))
            tables.append(Table(f"{name}, {pair}", columns, 3, tuple(rows)))
    return tables


def score_tables(points: "pd.DataFrame", pair: str) -> list[Table]:
    """All scores by layer of a pair with intervals and baselines, a table a test and data set."""
    tables = []
    chosen = points[points["pair"].eq(pair)]
    groups: Any = chosen.groupby(["family", "tokens", "dataset"], sort=False)
    for (family, tokens, dataset), group in groups:
        layers = _layers(group)
        rows = []
        for key, series in group.groupby(["variant", "measure", "encoder"], sort=False):
            variant, measure, encoder = key
            name = [Cell(variant), Cell(MEASURES.get(measure, measure)), Cell(encoder)]
            rows.append((*name, *_score_cells(series, layers, encoder)))
        tables.append(
            Table(
                caption=f"{MEASURES.get(family, family)} on {dataset}, {tokens}, {pair}",
                columns=("variant", "measure", "encoder", *_layer_heads(layers)),
                headers=3,
                rows=tuple(rows),
            )
        )
    return tables


def _score_cells(series: "pd.DataFrame", layers: Sequence[int], encoder: str) -> list[Cell]:
    if encoder == CHANCE:
        return [Cell(formatting.score(series["value"].mean()), "number")] * len(layers)
    cells = {}
    for row in series.to_dict("records"):
        text, low, high = formatting.score(row["value"]), row["low"], row["high"]
        if low == low and (encoder == TRAINED or low != high):
            text += f" [{formatting.score(low)}, {formatting.score(high)}]"
        cells[int(row["layer"])] = Cell(text, "number")
    return [cells.get(layer, Cell(ABSENT, "number")) for layer in layers]


def coverage_table(results: "pd.DataFrame") -> Table | None:
    """What the probes read: lines, lines cut or without tokens, share of anchors left out."""
    rows = results[results["probe"].eq("coverage")]
    if rows.empty:
        return None
    metrics = list(dict.fromkeys(rows["metric"]))
    index = ["variant", "pair", "seed", "dataset", "language"]
    wide = rows.pivot_table("value", index, "metric", aggfunc="last", sort=False)
    entries: Any = wide.iterrows()
    cells = [
        (
            *(Cell(str(part)) for part in key),
            *(
                figure(row.get(name), "{:.1%}" if name == "anchor-tokens" else formatting.count)
                for name in metrics
            ),
        )
        for key, row in entries
    ]
    columns = (*NAMES, "data set", "language", *(name.replace("-", " ") for name in metrics))
    return Table("Lines the probes read", columns, 5, merge_seeds(cells))


def other_table(results: "pd.DataFrame", elsewhere: Collection[str] = ()) -> Table | None:
    """Scores of probes that have no place of their own on the page.

    Args:
        results: A study's table of scores.
        elsewhere: Further probes that have one.
    """
    own_place = {"coverage", *elsewhere}
    there = results["probe"].isin(own_place) | results["probe"].str.startswith(TRANSFER)
    rows = results[~is_by_layer(results) & ~there]
    if rows.empty:
        return None
    columns = [*OF_RUN[1:], *Key._fields]
    texts = rows.astype({"layer": object, "draw": object}).fillna({"layer": "", "draw": ""})
    cells = tuple(
        (
            *(Cell(str(row[name])) for name in columns),
            figure(row["value"], formatting.score),
        )
        for row in texts.to_dict("records")
    )
    return Table("Other scores", (*columns, "value"), 3, cells)


def _layers(points: "pd.DataFrame") -> list[int]:
    return sorted({int(layer) for layer in points["layer"].dropna()})


def _layer_heads(layers: Sequence[int]) -> list[str]:
    return [f"layer {layer}" for layer in layers]


def merge_seeds(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    """Join rows that differ in nothing but the seed, their third cell."""
    seeds: dict[tuple[Cell, ...], list[str]] = {}
    for row in rows:
        seeds.setdefault((*row[:2], *row[3:]), []).append(row[2].text)
    return tuple((*row[:2], Cell(", ".join(found)), *row[2:]) for row, found in seeds.items())


def figure(value: Any, how: Any) -> Cell:
    """Return a number's cell, written by a function or a format; a dash if it is none."""
    return Cell(number(value, how), "number")


def number(value: Any, how: Any) -> str:
    """Write a number by a function or a format; a dash if it is none."""
    if not hasattr(value, "__float__") or isinstance(value, bool) or value != value:
        return ABSENT
    return str(how(value) if callable(how) else how.format(value))
