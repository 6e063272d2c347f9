"""Transfer of all variants to all targets, beside the paper's published numbers (Table 1)."""

from collections.abc import Mapping
from dataclasses import replace

from xling import formatting
from xling.report.ledger_section import resemblance, study_pairs
from xling.report.load import Study
from xling.report.published import DEFAULT, Published, corresponding, load_published
from xling.report.tables import Table
from xling.report.transfer_scores import (
    MEAN,
    TASK_NAMES,
    Column,
    transfer_scores,
    zero_shot_table,
)
from xling.results import TRAINED

_NOTE = (
    "Fine-tuned on the source language, tested on the others; mean over seeds. Δ: difference from "
    "{base}, over the seeds that both have. In brackets the 95\u00a0% interval over test "
    "sentences; the range over seeds shows what another training would give. ★ highest, ▽ lowest "
    "of a column. Paper: the published score where a pair stands for one ({like}) and, in "
    "brackets, its difference from default{printed}. Levels of this study and the paper cannot be "
    "compared, since data, size and training differ; differences between variants can."
)
_NO_PAPER = (
    "No pair of this study stands for one of the paper's (en-fr, en-ru, en-zh), so its numbers are "
    "not shown; `like` in a study file says which pair stands for which."
)


def table_one(study: Study) -> list[Table]:
    """Return a table for each of the paper's tasks that the study has scores of."""
    published = load_published()
    scores, pairs = transfer_scores(study.results), study_pairs(study)
    stands_for = corresponding(pairs, resemblance(study))
    tables = []
    for task, metric in published.metrics.items():
        of_task = scores[scores["task"].eq(task) & scores["metric"].eq(metric)]
        whole = of_task[of_task["layer"].isna() & of_task["pair"].isin(pairs)]
        if whole["condition"].eq(TRAINED).any():
            beside = _Beside(published, task, stands_for)
            title = f"{TASK_NAMES[task]}: {metric if metric == 'accuracy' else metric.upper()}"
            tables.append(zero_shot_table(whole, title, study.variants, pairs, beside))
    note = _note(study, stands_for)
    return [*tables[:-1], *(replace(last, note=note) for last in tables[-1:])]


class _Beside:
    """Writes the published number of a variant and column, as far as there is one."""

    def __init__(self, published: Published, task: str, stands_for: Mapping[str, str]) -> None:
        self.published, self.task, self.stands_for = published, task, stands_for

    def __call__(self, base: str, variant: str, column: Column) -> str:
        """Return e.g. ``"paper 0.721 (−0.015)"``; empty without a number."""
        if column == MEAN:
            if set(self.stands_for.values()) != set(self.published.languages):
                return ""
            scores = [self._score(variant, code) for code in self.published.languages]
            found = [score for score in scores if score is not None]
            value = sum(found) / len(found) if found else None
            difference = self.published.printed_difference(variant, self.task)
        else:
            code = self.stands_for.get(column[0], "")
            value, reference = self._score(variant, code), self._score(DEFAULT, code)
            difference = None if value is None or reference is None else value - reference
        if value is None or difference is None:
            return ""
        written = f" ({difference:+.3f})" if variant != DEFAULT and base == DEFAULT else ""
        return f"paper {formatting.score(value)}{written}".replace("-", "\N{MINUS SIGN}")

    def _score(self, variant: str, code: str) -> float | None:
        return self.published.score(variant, self.task, code)


def _note(study: Study, stands_for: Mapping[str, str]) -> str:
    from xling.report.over_seeds import reference

    if not stands_for:
        return _NO_PAPER
    like = ", ".join(f"{pair} for en-{code}" for pair, code in stands_for.items())
    whole = len(stands_for) == len(load_published().languages)
    printed = ", in the last column as printed" if whole else ""
    return _NOTE.format(base=reference(study.variants), like=like, printed=printed)
