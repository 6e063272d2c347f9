"""Scores of the tasks: rows of ``transfer-TASK`` in the results, as tables."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.names import pair_languages
from xling.report.over_seeds import no_score, over_seeds, reference, score_cell
from xling.report.tables import TRANSFER, Cell, Table, figure
from xling.results import CHANCE, GAP, SUPERVISED, TRAINED, UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

TASK_NAMES = {
    "nli": "Inference (NLI)",
    "ner": "Named entities (NER)",
    "parsing": "Dependency parsing",
    "topics": "Topics",
}
METRICS = {
    "accuracy": "accuracy",
    "f1": "F1 of entities",
    "f1-without-repair": "F1 of entities without repair",
    "las": "LAS",
    "uas": "UAS",
    "las-no-punct": "LAS without punctuation",
    "uas-no-punct": "UAS without punctuation",
}
_CONDITIONS = {
    UNTRAINED: "untrained",
    SUPERVISED: "in-language",
    GAP: "gap",
}
_BASELINES = {
    "majority": "commonest label",
    CHANCE: "chance",
    "lookup": "words as tagged in training",
    "neighbour": "each word on its neighbour",
}
MEAN = "mean of targets"
Column = tuple[str, str] | str  # pair and language, or MEAN
_NOTE = (
    "Fine-tuned on the source language (the first of a pair), tested on the others without any "
    "training data of theirs. Mean over seeds. Δ: difference from {base}, over the seeds that "
    "both have. In brackets the 95\u00a0% interval over test sentences; it does not cover the "
    "choice of seed, which the range over seeds shows. ★ highest, ▽ lowest of a column. "
    "Untrained: an encoder of the same shape that never saw text, fine-tuned alike; compare with "
    "it, since names and digits alone take a score some way. In-language: fine-tuned on the target "
    "itself; the gap is how much better that is."
)


def transfer_scores(results: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows of tasks, with the task as a further column.

    Args:
        results: A study's table of scores.
    """
    frame = results[results["probe"].str.startswith(TRANSFER)].reset_index(drop=True)
    return frame.assign(task=frame["probe"].str.removeprefix(TRANSFER))


def task_names(scores: "pd.DataFrame") -> list[str]:
    """Return the tasks there are scores of, in the usual order."""
    found = set(scores["task"])
    return [*(task for task in TASK_NAMES if task in found), *sorted(found - set(TASK_NAMES))]


def task_tables(
    scores: "pd.DataFrame", task: str, variants: Sequence[str], pairs: Sequence[str]
) -> list[Table]:
    """Return a table for each metric of a task, the chief one first; by layer in that regime.

    Args:
        scores: From :func:`transfer_scores`.
        task: Which task.
        variants: In the study's order.
        pairs: Languages of each model, in the study's order.
    """
    of_task = scores[scores["task"].eq(task)]
    tables = []
    for metric in METRICS:
        chosen = of_task[of_task["metric"].eq(metric)]
        title = f"{TASK_NAMES.get(task, task)}, {METRICS[metric]}"
        whole = chosen[chosen["layer"].isna()]
        if whole["condition"].eq(TRAINED).any():
            tables.append(zero_shot_table(whole, title, variants, pairs))
        if chosen["layer"].notna().any():
            tables.append(_by_layer(chosen[chosen["layer"].notna()], title, variants, pairs))
    return tables


def _columns(scores: "pd.DataFrame", pairs: Sequence[str]) -> list[tuple[str, str]]:
    """Return the (pair, language) that there are test scores of, the source first in each pair."""
    there = set(zip(scores["pair"], scores["language"], strict=True))
    return [
        (pair, code) for pair in pairs for code in pair_languages(pair) if (pair, code) in there
    ]


def zero_shot_table(
    scores: "pd.DataFrame",
    title: str,
    variants: Sequence[str],
    pairs: Sequence[str],
    published: Callable[[str, str, Column], str] | None = None,
) -> Table:
    """Write a row per variant, what it is compared with below the score, and a row per baseline.

    Args:
        scores: Of one task and metric, from :func:`transfer_scores`, without layers.
        title: The caption.
        variants: In the study's order.
        pairs: Languages of each model, in the order to show.
        published: Gives a line to put below a score from the reference variant, its own variant and
            its column (pair and target, or :data:`MEAN`). With it only targets are shown.
    """
    base = reference(variants)
    model = scores[scores["condition"].eq(TRAINED)]
    columns = _columns(model, pairs)
    targets = [(pair, code) for pair, code in columns if code != pair_languages(pair)[0]]
    if published:
        columns = targets
    shown: list[Any] = [*columns, MEAN] if len(targets) > 1 else [*columns]
    beside = {
        name: _over_seeds(scores[scores["condition"].eq(condition)], targets, base)
        for condition, name in _CONDITIONS.items()
    }
    rows = []
    found = _over_seeds(model, targets, base)
    for variant in variants:
        cells = []
        for column in shown:
            key = variant, column
            notes = [line] if published and (line := published(base, variant, column)) else []
            notes += [
                f"{name} {formatting.score(table[key]['value'])}"
                for name, table in beside.items()
                if key in table
            ]
            cells.append(score_cell(found[key], notes) if key in found else no_score())
        if any(cell != no_score() for cell in cells):
            rows.append((Cell(variant), *cells))
    for baseline, name in _BASELINES.items():
        # The same for all variants: no model takes part in it.
        means = scores[scores["condition"].eq(baseline)].groupby(["pair", "language"])["value"]
        values: dict[Any, float] = means.mean().to_dict()
        if values:
            if all(column in values for column in targets):
                values[MEAN] = sum(values[column] for column in targets) / max(len(targets), 1)
            figures = (values.get(column) for column in shown)
            rows.append((Cell(name), *(figure(value, formatting.score) for value in figures)))
    heads = [_head(*column) if column != MEAN else "all pairs" for column in shown]
    groups = [(pair, len(list(of))) for pair, of in groupby(columns, key=lambda column: column[0])]
    if MEAN in shown:
        groups.append((MEAN, 1))
    note = "" if published else _NOTE.format(base=base)
    return Table(title, ("", *heads), 1, tuple(rows), tuple(groups), note)


def _head(pair: str, code: str) -> str:
    return f"{code} (source)" if code == pair_languages(pair)[0] else code


def _over_seeds(
    scores: "pd.DataFrame", targets: Sequence[tuple[str, str]], base: str
) -> dict[tuple[str, Any], "pd.Series"]:
    """Return the rows of one condition by variant and column; the mean only where it is whole."""
    import pandas as pd

    columns: Any = list(zip(scores["pair"], scores["language"], strict=True))
    frame = scores.assign(column=columns)
    keep = ["variant", "column", "seed", "value", "low", "high"]
    groups = frame[frame["column"].isin(targets)].groupby(["variant", "seed"], sort=False)["value"]
    means = groups.mean()[groups.size().eq(len(targets))].reset_index()
    means = means.assign(column=MEAN, low=float("nan"), high=float("nan"))
    frames = [part for part in (frame[keep], means[keep]) if len(part)]
    if not frames:
        return {}
    table = over_seeds(pd.concat(frames, ignore_index=True), base)
    return {(row["variant"], row["column"]): row for _, row in table.iterrows()}


def _by_layer(
    scores: "pd.DataFrame", title: str, variants: Sequence[str], pairs: Sequence[str]
) -> Table:
    """Write the feature regime: a row per variant and test language, a column per layer."""
    base = reference(variants)
    layers = sorted({int(layer) for layer in scores["layer"]})
    rows = []
    for condition, name in {TRAINED: "zero-shot", **_CONDITIONS}.items():
        chosen = scores[scores["condition"].eq(condition)]
        for pair, code in _columns(chosen, pairs):
            here = chosen[chosen["pair"].eq(pair) & chosen["language"].eq(code)]
            table = over_seeds(here.assign(column=here["layer"].astype(int)), base)
            cells = {
                (row["variant"], row["column"]): score_cell(row) for _, row in table.iterrows()
            }
            for variant in variants:
                found = [cells.get((variant, layer), no_score()) for layer in layers]
                if any(cell != no_score() for cell in found):
                    where = Cell(f"{_head(pair, code)}, {pair}")
                    rows.append((Cell(name), where, Cell(variant), *found))
    heads = [f"layer {layer}" for layer in layers]
    return Table(
        f"{title}, new layers on frozen ones by layer",
        ("", "tested on", "variant", *heads),
        3,
        tuple(rows),
        note=_NOTE.format(base=base),
    )
