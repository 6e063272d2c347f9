"""The tasks: scores of every variant next to the paper's, and errors."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.names import pair_languages
from xling.report.claims.written import resemblance, study_pairs
from xling.report.coverage import Cut, cut_lines
from xling.report.load import TASK_STAGE, Study
from xling.report.published import DEFAULT, corresponding, load_published
from xling.report.tables import (
    Cell,
    Table,
    figure,
    no_score,
    over_seeds,
    reference,
    score_cell,
    share,
)
from xling.report.task_errors import TaskJob, error_tables
from xling.results import CHANCE, GAP, SUPERVISED, TRAINED, UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

TRANSFER = "transfer-"
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
    "training data in them. Mean over seeds. Δ: difference from {base}, over the seeds that both "
    "have. In brackets: the 95\u00a0% interval over test sentences; it does not cover the choice "
    "of seed, which the range over seeds shows. ★ highest, ▽ lowest of a column. Cut: the share "
    "of test sentences longer than the model's last position, if any. Untrained: an encoder of "
    "the same shape that never saw text, fine-tuned in the same way; names and digits alone give "
    "it some score. In-language: fine-tuned on the target itself; the gap is how much better "
    "that is."
)
_PAPER = (
    " Paper: the published score (Table 1) where a pair stands for one of the paper's ({like}), "
    "and in brackets its difference from default{printed}. Levels cannot be compared with the "
    "paper's, since data, size and training differ; differences between variants can."
)
_NO_PAPER = (
    " The paper's numbers are not shown, because no pair stands for one of its pairs (en-fr, "
    "en-ru, en-zh); `like` in a study file says which does."
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


def task_tables(study: Study, scores: "pd.DataFrame", task: str, cut: Cut) -> list[Table]:
    """Return a table for each metric of a task, the chief one first; by layer in that regime.

    Args:
        study: The study.
        scores: From :func:`transfer_scores`.
        task: Which task.
        cut: From `coverage.cut_lines`.
    """
    of_task = scores[scores["task"].eq(task)]
    near_to_far = study_pairs(study)
    pairs = [*near_to_far, *(pair for pair in study.pairs if pair not in near_to_far)]
    note = _NOTE.format(base=reference(study.variants))
    paper = Paper(study, near_to_far, task)
    tables: list[Table] = []
    for metric in METRICS:
        chosen = of_task[of_task["metric"].eq(metric)]
        title = f"{TASK_NAMES.get(task, task)}, {METRICS[metric]}"
        whole = chosen[chosen["layer"].isna()]
        if whole["condition"].eq(TRAINED).any():
            published = paper if metric == paper.metric else None
            table = zero_shot_table(whole, title, study.variants, pairs, cut, published)
            more = published.note if published else ""
            tables.append(replace(table, note="" if tables else note + more))
        if chosen["layer"].notna().any():
            by_layer = chosen[chosen["layer"].notna()]
            table = _by_layer(by_layer, title, study.variants, pairs)
            tables.append(replace(table, note="" if tables else note))
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
    cut: Cut,
    paper: "Paper | None" = None,
) -> Table:
    """Write a row per variant, with comparisons below the score, and a row per baseline.

    Args:
        scores: Of one task and metric, from :func:`transfer_scores`, without layers.
        title: The caption.
        variants: In the study's order.
        pairs: Languages of each model, in the order to show.
        cut: From `coverage.cut_lines`.
        paper: Gives the published scores; None for a metric that the paper does not have.
    """
    base = reference(variants)
    model = scores[scores["condition"].eq(TRAINED)]
    columns = _columns(model, pairs)
    targets = [(pair, code) for pair, code in columns if code != _source(pair)]
    shown: list[Column] = [*columns, MEAN] if len(targets) > 1 else [*columns]
    beside = {
        name: _over_seeds(scores[scores["condition"].eq(condition)], targets, base)
        for condition, name in _CONDITIONS.items()
    }
    where = model[["pair", "language", "probe", "dataset"]].drop_duplicates()
    sets = {(pair, code): rest for pair, code, *rest in where.itertuples(index=False, name=None)}
    rows = []
    found = _over_seeds(model, targets, base)
    for variant in variants:
        cells = []
        for column in shown:
            key = variant, column
            notes = [
                f"{name} {formatting.score(table[key]['value'])}"
                for name, table in beside.items()
                if key in table
            ]
            if isinstance(column, tuple):
                probe, dataset = sets[column]
                lost = cut([probe], variant, column[0], dataset, [column[1]])
                notes += [f"{share(lost[1])} cut"] if lost and lost[1] else []
            if paper and (line := paper.beside(base, variant, column)):
                notes.append(line)
            cells.append(score_cell(found[key], notes) if key in found else no_score())
        if any(cell != no_score() for cell in cells):
            rows.append((Cell(variant), *cells))
    for baseline, name in _BASELINES.items():
        # The same for all variants, since it needs no model.
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
    return Table(title, ("variant", *heads), 1, tuple(rows), tuple(groups))


def _head(pair: str, code: str) -> str:
    return f"{code} (source)" if code == _source(pair) else code


def _over_seeds(
    scores: "pd.DataFrame", targets: Sequence[tuple[str, str]], base: str
) -> dict[tuple[str, Column], "pd.Series"]:
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
    caption = f"{title}, new layers on frozen ones by layer"
    return Table(caption, ("", "tested on", "variant", *heads), 3, tuple(rows))


class Paper:
    """The published scores of a task (Conneau et al. 2020, Table 1), next to a study's.

    Attributes:
        metric: What they are; empty for a task that the paper does not have.
        note: How to read them.
    """

    def __init__(self, study: Study, pairs: Sequence[str], task: str) -> None:
        self._published, self._task = load_published(), task
        self._like = corresponding(pairs, resemblance(study))
        self._whole = set(self._like.values()) == set(self._published.languages)
        self.metric = self._published.metrics.get(task, "")
        like = ", ".join(f"{pair} for en-{code}" for pair, code in self._like.items())
        printed = ", for all pairs as printed" if self._whole else ""
        self.note = _PAPER.format(like=like, printed=printed) if like else _NO_PAPER

    def beside(self, base: str, variant: str, column: Column) -> str:
        """Return e.g. ``"paper 0.721 (−0.015)"``; empty without a number.

        Args:
            base: The variant that the study's differences are from.
            variant: Which variant.
            column: Which column of the table.
        """
        if column == MEAN:
            scores = [self._score(variant, code) for code in self._published.languages]
            found = [score for score in scores if score is not None]
            value = sum(found) / len(found) if found and self._whole else None
            difference = self._published.printed_difference(variant, self._task)
        else:
            code = self._like.get(column[0], "") if column[1] != _source(column[0]) else ""
            value, of_default = self._score(variant, code), self._score(DEFAULT, code)
            difference = None if value is None or of_default is None else value - of_default
        if value is None or difference is None:
            return ""
        written = f" ({difference:+.3f})" if variant != DEFAULT and base == DEFAULT else ""
        return f"paper {formatting.score(value)}{written}".replace("-", "\N{MINUS SIGN}")

    def _score(self, variant: str, code: str) -> float | None:
        return self._published.score(variant, self._task, code)


def _source(pair: str) -> str:
    return pair_languages(pair)[0]


@dataclass(frozen=True)
class TaskPage:
    """A task's part of the page.

    Attributes:
        name: The heading.
        tables: Scores, the chief metric first.
        details: Tables for those who look closer, each folded.
        missing: What could not be shown, in sentences.
    """

    name: str
    tables: tuple[Table, ...]
    details: tuple[Table, ...]
    missing: tuple[str, ...]


def task_pages(study: Study) -> list[TaskPage]:
    """Gather what there is of every task that has scores."""
    scores, cut = transfer_scores(study.results), cut_lines(study.results)
    jobs = planned_tasks(study)
    pages = []
    for task in task_names(scores):
        of_task = [job for job in jobs if job.task == task]
        name = TASK_NAMES.get(task, task)
        errors, missing = error_tables(of_task, study.variants)
        tables = tuple(task_tables(study, scores, task, cut))
        pages.append(TaskPage(name, tables, tuple(errors), tuple(missing)))
    return pages


def planned_tasks(study: Study) -> list[TaskJob]:
    """Return the jobs of tasks in the study's order; none without a plan."""
    return [
        TaskJob(str(job["settings"]["task"]), *run.key, study.folder / name, study.data)
        for run in study.runs
        for name in run.scores
        if study.data and (job := study.jobs.get(name)) and job["stage"] == TASK_STAGE
    ]


def missing_tasks(study: Study) -> list[str]:
    """Say which tasks of which runs were planned and have no scores."""
    scores = transfer_scores(study.results)
    found = set(zip(scores["task"], scores["variant"], scores["pair"], scores["seed"], strict=True))
    return [
        f"{job.variant}, {job.pair}, seed {job.seed}: no scores of the task {job.task}."
        for job in planned_tasks(study)
        if (job.task, job.variant, job.pair, job.seed) not in found
    ]
