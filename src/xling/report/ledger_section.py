"""The top of the page: what was asked, and what the claims ledger says was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from xling.report.ledger.evaluate import Outcome, TestOutcome, evaluate
from xling.report.ledger.interval import ITEMS, NOT_MEASURED, NOTHING, PAIRS, VERDICTS
from xling.report.ledger.written import basis, numbers
from xling.report.load import Study
from xling.report.published import by_distance


@dataclass(frozen=True)
class Ledger:
    """The ledger as the page shows it.

    Attributes:
        outcomes: All claims.
        answer: How many came out how, in a sentence.
        order: What "near" and "far" mean here; empty if there is one pair.
        unsure: What the numbers of this study cannot tell.
    """

    outcomes: tuple[Outcome, ...]
    answer: str
    order: str
    unsure: tuple[str, ...]

    @property
    def measured(self) -> list[Outcome]:
        """Claims that can be judged."""
        return [outcome for outcome in self.outcomes if outcome.verdict != NOT_MEASURED]

    @property
    def left(self) -> list[Outcome]:
        """Claims that the study lacks scores for, all or those of one comparison."""
        return [outcome for outcome in self.outcomes if outcome.verdict == NOT_MEASURED]


@dataclass(frozen=True)
class Comparison:
    """The tests of one comparison: its words, why its threshold, a line for each score."""

    name: str
    reason: str
    lines: tuple[tuple[str, str, str, str], ...]  # score, verdict, numbers, what they rest on


def study_pairs(study: Study) -> list[str]:
    """Return the study's own pairs from near to far, not those with a language made from another.

    A study that does not say is taken to name its pairs in this order.
    """
    named = study.config.get("pairs")
    pairs = [pair for pair in study.pairs if not isinstance(named, list) or pair in named]
    return by_distance(pairs, resemblance(study))


def resemblance(study: Study) -> Mapping[str, str]:
    """Return which published language a study says that each of its pairs stands for."""
    like = study.config.get("like")
    return {str(pair): str(code) for pair, code in like.items()} if isinstance(like, dict) else {}


def ledger(study: Study) -> Ledger:
    """Test the paper's claims on a study."""
    pairs = study_pairs(study)
    outcomes = evaluate(study.results, pairs, study.influence)
    order = f"Pairs from near to far: {', '.join(pairs)}." if len(pairs) > 1 else ""
    return Ledger(outcomes, _answer(outcomes), order, tuple(_unsure(outcomes)))


def comparisons(outcome: Outcome) -> list[Comparison]:
    """Return the tests of a claim, those of one comparison together."""
    groups: Any = groupby(outcome.tests, key=lambda test: (test.name, test.reason))
    return [
        Comparison(name, reason, tuple(_line(test) for test in tests))
        for (name, reason), tests in groups
    ]


def _line(test: TestOutcome) -> tuple[str, str, str, str]:
    beside = [basis(test)] if test.found else []
    if test.paper is not None:
        beside.append(f"paper {test.paper:+.3f}".replace("-", "\N{MINUS SIGN}"))
    return test.score, test.verdict, numbers(test), "; ".join(beside)


def _answer(outcomes: Sequence[Outcome]) -> str:
    measured = [outcome for outcome in outcomes if outcome.verdict != NOT_MEASURED]
    if not measured:
        return (
            f"None of the paper's {len(outcomes)} findings can be tested here: the study lacks the "
            "variants or the scores that they compare."
        )
    counts = {name: sum(o.verdict == name for o in measured) for name in VERDICTS}
    parts = [f"{counts[name]} {name}" for name in VERDICTS if name != NOT_MEASURED]
    sentence = f"Of the paper's {len(outcomes)} findings, {len(measured)} can be tested here: "
    return f"{sentence}{', '.join(parts)}."


def _unsure(outcomes: Sequence[Outcome]) -> list[str]:
    tests = [test for outcome in outcomes for test in outcome.tests if test.found]
    found = [test.found for test in tests if test.found]
    if not found:
        return []
    sentences = [
        f"The ledger makes {len(tests)} tests, each at 95\u00a0%, without correction for their "
        "number; verdicts are about this study's pairs, not about languages at large."
    ]
    single = sum(estimate.basis == ITEMS for estimate in found)
    if single:
        sentences.append(
            f"{single} of them rest on one seed: their intervals tell what other test items would "
            "give, not what another training would."
        )
    by_pairs = sum(estimate.basis == PAIRS for estimate in found)
    if by_pairs:
        sentences.append(
            f"{by_pairs} have one seed and scores without intervals: only how pairs differ says "
            "how sure they are."
        )
    without = sum(estimate.basis == NOTHING for estimate in found)
    if without:
        sentences.append(f"{without} have no interval at all and are inconclusive for that.")
    return sentences
