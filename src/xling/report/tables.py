"""The report's tables, as plain cells for the template and for LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling.report import words
from xling.report.load import Run
from xling.report.scores import (
    ABOVE,
    BELOW,
    CENTRED,
    CHANCE,
    CKA,
    PLAIN,
    TRAINED,
    UNCLEAR,
    UNKNOWN,
    is_by_layer,
)

if TYPE_CHECKING:
    import pandas as pd

NAMES = ("variant", "pair", "seed")
ABSENT = "–"
COMMONEST = 30
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


def standing_tables(comparison: "pd.DataFrame", pair: str) -> list[Table]:
    """A pair's retrieval and CKA by layer, each score marked against the random encoders."""
    tables = []
    for measure in (PLAIN, CKA):
        chosen = comparison[comparison["pair"].eq(pair) & comparison["measure"].eq(measure)]
        layers = _layers(chosen)
        rows = []
        groups: Any = chosen.groupby(["variant", "dataset", "tokens"], sort=False)
        for key, series in groups:
            cells = {
                int(row.layer): Cell(
                    f"{words.score(row.value)} {MARKS[row.standing]}", row.standing
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
        return [Cell(words.score(series["value"].mean()), "number")] * len(layers)
    cells = {}
    for row in series.to_dict("records"):
        text, low, high = words.score(row["value"]), row["low"], row["high"]
        if low == low and (encoder == TRAINED or low != high):
            text += f" [{words.score(low)}, {words.score(high)}]"
        cells[int(row["layer"])] = Cell(text, "number")
    return [cells.get(layer, Cell(ABSENT, "number")) for layer in layers]


def model_table(runs: Sequence[Run], config: dict[str, Any]) -> Table:
    """What was built: shape, vocabulary, what is separate, parameters."""
    rows = []
    for run in runs:
        trained = _object(_object(run.artefact).get("config"))
        vocabulary = _object(_object(run.vocabulary).get("vocabulary"))
        counts = _object(_object(run.preflight).get("parameters"))
        separate = ", ".join(str(part) for part in _list(trained.get("separate")))
        size = _number(vocabulary.get("size"), words.count)
        rows.append(
            (
                *_names(run),
                Cell(_shape(trained) or _shape(config) or ABSENT),
                Cell(f"{size} {vocabulary.get('kind', '')}".strip(), "number"),
                Cell(separate or ("nothing" if "separate" in trained else ABSENT)),
                _figure(counts.get("total"), words.large),
                _figure(counts.get("shared"), words.large),
            )
        )
    columns = ("model", "vocabulary", "separate", "parameters", "of them shared")
    return Table("Models", (*NAMES, *columns), 3, _merge_seeds(rows))


def training_table(runs: Sequence[Run]) -> Table:
    """What training took; what is not known shows as a dash."""
    rows = []
    for run in runs:
        preflight = _object(run.preflight)
        train = run.log[run.log["kind"].eq("train")]
        # Every language seen since the last record repeats the time since that record.
        seconds = train.drop_duplicates("step")["seconds"].sum(min_count=1)
        rows.append(
            (
                *_names(run),
                _figure(train["step"].max(), words.count),
                _figure(preflight.get("tokens_total"), words.large),
                _figure(preflight.get("flops_total"), "{:.2e}"),
                _figure(preflight.get("memory_bytes"), words.memory),
                _figure(seconds, words.duration),
                _figure(train["tokens_per_second"].median(), words.count),
                _figure(train["mfu"].median(), "{:.0%}"),
            )
        )
    columns = ("steps", "tokens planned", "FLOPs planned", "memory, estimated", "time")
    return Table("Training", (*NAMES, *columns, "tokens/s", "MFU"), 3, tuple(rows))


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
                    *_names(run),
                    Cell(language),
                    _figure(units.get("words"), words.count),
                    _figure(text.get("train_tokens"), words.count),
                    _figure(text.get("passes"), "{:.1f}"),
                    _figure(text.get("share_of_batches"), "{:.1%}"),
                    _figure(units.get("tokens a word"), "{:.2f}"),
                    _figure(units.get("share of unknowns"), "{:.3%}"),
                    _figure(perplexity.min(), "{:,.1f}"),
                )
            )
    columns = (
        *NAMES,
        "language",
        "words",
        "training tokens",
        "passes over them",
        "share of batches",
        "tokens a word",
        "unknown",
        "best dev perplexity",
    )
    return Table("Languages", columns, 4, _merge_seeds(rows))


def anchor_table(runs: Sequence[Run]) -> Table:
    """Tokens that two languages have in common: how many, and their share of running text."""
    rows = []
    for run in runs:
        for record in map(_object, _list(_object(run.vocabulary).get("anchors"))):
            languages = [str(language) for language in _list(record.get("languages"))]
            kinds = {"all": record, **_object(record.get("kinds"))}
            for kind, found in kinds.items():
                entry = _object(found)
                shares = _object(entry.get("share of running tokens"))
                rows.append(
                    (
                        *_names(run),
                        Cell(words.listing(languages) or ABSENT),
                        Cell(kind),
                        _figure(entry.get("tokens"), words.count),
                        Cell(
                            ", ".join(
                                f"{name} {_number(share, '{:.1%}')}"
                                for name, share in shares.items()
                            )
                            or ABSENT,
                            "number",
                        ),
                        _figure(entry.get("overlap"), "{:.1%}"),
                    )
                )
    columns = (*NAMES, "languages", "kind", "tokens", "share of running tokens", "overlap")
    return Table("Anchors: tokens that two languages share", columns, 5, _merge_seeds(rows))


def common_anchor_table(runs: Sequence[Run]) -> Table:
    """The anchors that cover most of both languages' text."""
    rows = []
    for run in runs:
        for record in map(_object, _list(_object(run.vocabulary).get("anchors"))):
            entries = map(_object, _list(record.get("commonest"))[:COMMONEST])
            if tokens := [str(entry.get("token", "")) for entry in entries]:
                rows.append((*_names(run), Cell("  ".join(tokens), "tokens")))
    return Table("Commonest anchors", (*NAMES, "tokens"), 3, _merge_seeds(rows))


def _names(run: Run) -> tuple[Cell, Cell, Cell]:
    return Cell(run.variant), Cell(run.pair), Cell(str(run.seed))


def _merge_seeds(rows: Sequence[tuple[Cell, ...]]) -> tuple[tuple[Cell, ...], ...]:
    """Join rows that differ in nothing but the seed, their third cell."""
    seeds: dict[tuple[Cell, ...], list[str]] = {}
    for row in rows:
        seeds.setdefault((*row[:2], *row[3:]), []).append(row[2].text)
    return tuple((*row[:2], Cell(", ".join(found)), *row[2:]) for row, found in seeds.items())


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
                _figure(row.get(name), "{:.1%}" if name == "anchor-tokens" else words.count)
                for name in metrics
            ),
        )
        for key, row in entries
    ]
    columns = (*NAMES, "data set", "language", *(name.replace("-", " ") for name in metrics))
    return Table("Lines the probes read", columns, 5, _merge_seeds(cells))


def other_table(results: "pd.DataFrame") -> Table | None:
    """Scores of probes that have no place of their own on the page."""
    rows = results[~is_by_layer(results) & results["probe"].ne("coverage")]
    if rows.empty:
        return None
    columns = ["variant", "pair", "seed", "probe", "dataset", "language", "layer", "metric"]
    cells = tuple(
        (
            *(Cell(str(row[name])) for name in columns),
            _figure(row["value"], words.score),
        )
        for row in rows.astype({"layer": object}).fillna({"layer": ""}).to_dict("records")
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
            return f"{value['layers']} layers × {value['hidden']}"
        return next(filter(None, map(_shape, value.values())), "")
    return ""


def _figure(value: Any, how: Any) -> Cell:
    return Cell(_number(value, how), "number")


def _number(value: Any, how: Any, absent: str = ABSENT) -> str:
    if not _is_number(value):
        return absent
    return str(how(value) if callable(how) else how.format(value))


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, bool) and value == value


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
