"""The report's tables, as plain cells for the template and for LaTeX."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling.report import words
from xling.report.load import Run, Study
from xling.report.scores import (
    ABOVE,
    BELOW,
    CENTRED,
    CHANCE,
    CKA,
    PLAIN,
    SERIES,
    TRAINED,
    UNCLEAR,
    UNKNOWN,
    is_by_layer,
)

if TYPE_CHECKING:
    import pandas as pd

MARKS = {ABOVE: "▲", UNCLEAR: "=", BELOW: "▼", UNKNOWN: ""}
MEASURES = {PLAIN: "retrieval", CENTRED: "retrieval, centred", CKA: "CKA"}


@dataclass(frozen=True)
class Cell:
    """A cell: its text, and a word on what it means for the style sheet."""

    text: str
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first ``headers`` cells of each row name the row."""

    caption: str
    columns: tuple[str, ...]
    headers: int
    rows: tuple[tuple[Cell, ...], ...]


def standing_table(comparison: "pd.DataFrame", pair: str) -> Table:
    """Retrieval and CKA by layer of every variant, each marked against the random encoders."""
    chosen = comparison[comparison["pair"].eq(pair) & comparison["measure"].ne(CENTRED)]
    layers = _layers(chosen)
    rows = []
    order = chosen.assign(rank=chosen["family"].eq(CKA)).sort_values("rank", kind="stable")
    for key, series in order.groupby(SERIES, sort=False):
        _, variant, dataset, _, tokens, measure = key
        cells = {
            int(row.layer): Cell(f"{MARKS[row.standing]} {words.score(row.value)}", row.standing)
            for row in series.itertuples()
        }
        name = [Cell(text) for text in (variant, MEASURES.get(measure, measure), dataset, tokens)]
        rows.append((*name, *(cells.get(layer, Cell("")) for layer in layers)))
    return Table(
        caption=f"Where the space is shared, {pair}",
        columns=("variant", "test", "data set", "tokens", *_layer_heads(layers)),
        headers=4,
        rows=tuple(rows),
    )


def score_tables(points: "pd.DataFrame", pair: str) -> list[Table]:
    """All scores by layer of a pair with intervals and baselines, a table a test and data set."""
    tables = []
    chosen = points[points["pair"].eq(pair)]
    for (family, tokens, dataset), group in chosen.groupby(
        ["family", "tokens", "dataset"], sort=False
    ):
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
        return [Cell(words.score(series["value"].mean()), "number")] * len(layers)
    cells = {}
    for row in series.itertuples():
        text = words.score(row.value)
        if row.low == row.low and (encoder == TRAINED or row.low != row.high):
            text += f" [{words.score(row.low)}, {words.score(row.high)}]"
        cells[int(row.layer)] = Cell(text, "number")
    return [cells.get(layer, Cell("–", "number")) for layer in layers]


def training_table(runs: Sequence[Run], config: dict[str, Any]) -> Table:
    """What was trained: one row a run; what is not known shows as a dash."""
    columns = (
        "variant",
        "pair",
        "seed",
        "model",
        "vocabulary",
        "parameters",
        "of them shared",
        "steps",
        "tokens trained",
        "FLOPs",
        "time",
        "tokens/s",
        "MFU",
    )
    return Table(
        caption="Runs",
        columns=columns,
        headers=3,
        rows=tuple(tuple(_run_cells(run, config)) for run in runs),
    )


def _run_cells(run: Run, config: dict[str, Any]) -> Iterable[Cell]:
    preflight, train = run.preflight or {}, run.log[run.log["kind"].eq("train")]
    counts = _object(preflight.get("parameters"))
    total, shared = counts.get("total"), counts.get("shared")
    yield from (Cell(run.variant), Cell(run.pair), Cell(str(run.seed)))
    yield Cell(_shape(_object(run.artefact).get("config")) or _shape(config) or "–")
    vocabulary = _object(run.vocabulary)
    yield Cell(
        " ".join(
            [str(vocabulary.get("kind", "")), _number(vocabulary.get("size"), words.count, "")]
        ).strip()
        or "–"
    )
    yield _figure(total, words.large)
    yield _figure(shared / total if _is_number(total) and _is_number(shared) else None, "{:.0%}")
    yield _figure(train["step"].max(), words.count)
    yield _figure(preflight.get("tokens_total"), words.large)
    yield _figure(preflight.get("flops_total"), "{:.2e}")
    yield _figure(train["seconds"].max(), words.duration)
    yield _figure(train["tokens_per_second"].median(), words.count)
    yield _figure(train["mfu"].median(), "{:.0%}")


def language_table(runs: Sequence[Run]) -> Table:
    """Text and tokens a language: sizes, share of batches, tokens a word, dev perplexity."""
    rows = []
    for run in runs:
        texts = _object(_object(run.preflight).get("languages"))
        vocabulary = _object(_object(run.vocabulary).get("languages"))
        dev = run.log[run.log["kind"].eq("dev")]
        for language in run.languages:
            text, units = _object(texts.get(language)), _object(vocabulary.get(language))
            perplexity = dev.loc[dev["language"].eq(language), "perplexity"]
            rows.append(
                (
                    Cell(run.variant),
                    Cell(run.pair),
                    Cell(str(run.seed)),
                    Cell(language),
                    _figure(text.get("train_tokens", units.get("tokens")), words.count),
                    _figure(text.get("share_of_batches"), "{:.1%}"),
                    _figure(units.get("tokens_a_word"), "{:.2f}"),
                    _figure(units.get("unknown_share"), "{:.3%}"),
                    _figure(perplexity.min(), "{:,.1f}"),
                )
            )
    columns = (
        "variant",
        "pair",
        "seed",
        "language",
        "training tokens",
        "share of batches",
        "tokens a word",
        "unknown",
        "best dev perplexity",
    )
    return Table("Languages", columns, 4, tuple(rows))


def anchor_table(runs: Sequence[Run]) -> Table:
    """Tokens that two languages have in common: how many, and their share of running text."""
    rows = []
    for run in runs:
        for entry in _list(_object(run.vocabulary).get("anchors")):
            record = _object(entry)
            languages = [str(language) for language in _list(record.get("languages"))]
            shares = _object(record.get("share"))
            text = ", ".join(
                f"{language} {_number(shares.get(language), '{:.1%}')}"
                for language in languages or shares
            )
            rows.append(
                (
                    Cell(run.variant),
                    Cell(run.pair),
                    Cell(str(run.seed)),
                    Cell(" and ".join(languages) or "–"),
                    _figure(record.get("types"), words.count),
                    Cell(text or "–", "number"),
                )
            )
    columns = ("variant", "pair", "seed", "languages", "shared tokens", "share of running tokens")
    return Table("Anchors: tokens that two languages share", columns, 3, tuple(rows))


def coverage_table(results: "pd.DataFrame") -> Table | None:
    """What the probes read: lines, lines cut or without tokens, share of anchors left out."""
    rows = results[results["probe"].eq("coverage")]
    if rows.empty:
        return None
    metrics = list(dict.fromkeys(rows["metric"]))
    index = ["variant", "pair", "seed", "dataset", "language"]
    wide = rows.pivot_table("value", index, "metric", aggfunc="last", sort=False)
    cells = tuple(
        (
            *(Cell(str(part)) for part in key),
            *(
                _figure(row.get(name), "{:.1%}" if name == "anchor-tokens" else words.count)
                for name in metrics
            ),
        )
        for key, row in wide.iterrows()
    )
    columns = (*index[:3], "data set", "language", *metrics)
    return Table("Lines the probes read", columns, 5, cells)


def other_table(results: "pd.DataFrame") -> Table | None:
    """Scores of probes that have no place of their own on the page."""
    rows = results[~is_by_layer(results) & results["probe"].ne("coverage")]
    if rows.empty:
        return None
    columns = ["variant", "pair", "seed", "probe", "dataset", "language", "layer", "metric"]
    cells = tuple(
        (
            *(Cell("" if str(row[name]) == "<NA>" else str(row[name])) for name in columns),
            _figure(row["value"], words.score),
        )
        for row in rows.to_dict("records")
    )
    return Table("Other scores", (*columns, "value"), 3, cells)


def _layers(points: "pd.DataFrame") -> list[int]:
    return sorted({int(layer) for layer in points["layer"].dropna()})


def _layer_heads(layers: Sequence[int]) -> list[str]:
    return [f"layer {layer}" for layer in layers]


def _shape(value: Any) -> str:
    """Find a model's shape anywhere in a configuration."""
    if isinstance(value, dict):
        if "layers" in value and "hidden" in value:
            text = f"{value['layers']} layers × {value['hidden']}"
            return f"{text}, {value['heads']} heads" if "heads" in value else text
        return next(filter(None, map(_shape, value.values())), "")
    return ""


def _figure(value: Any, how: Any) -> Cell:
    return Cell(_number(value, how), "number")


def _number(value: Any, how: Any, absent: str = "–") -> str:
    if not _is_number(value):
        return absent
    return str(how(value) if callable(how) else how.format(value))


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool) and value == value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
