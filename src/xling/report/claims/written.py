"""The claims as a table for programs (``claims.csv``), as text, and as the page shows them."""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from xling.csv_tables import write_table
from xling.estimate import ITEMS, NOTHING, PAIRS
from xling.files import atomic_file
from xling.report.claims.evaluate import NOT_MEASURED, VERDICTS, Outcome, TestOutcome, evaluate
from xling.report.load import Study
from xling.report.published import by_distance

if TYPE_CHECKING:
    import pandas as pd

CLAIMS = "claims.csv"
COLUMNS = (
    *("claim", "finding", "claim_verdict", "test", "score", "verdict"),
    *("value", "low", "high", "above", "basis", "pairs", "seeds", "cells", "paper"),
)
_WIDTH = 100


@dataclass(frozen=True)
class Tested:
    """The claims tested on a study, as the page shows them.

    Attributes:
        outcomes: All claims.
        answer: How many came out how, in a sentence.
        order: What "near" and "far" mean in this study; empty if it has one pair.
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
    def missing(self) -> list[Outcome]:
        """Claims that the study lacks scores for, all or those of one comparison."""
        return [outcome for outcome in self.outcomes if outcome.verdict == NOT_MEASURED]


def claims_of(study: Study) -> Tested:
    """Test the paper's claims on a study."""
    pairs = study_pairs(study)
    outcomes = evaluate(study.results, pairs, study.influence)
    order = f"Pairs from near to far: {', '.join(pairs)}." if len(pairs) > 1 else ""
    return Tested(outcomes, _answer(outcomes), order, tuple(_unsure(outcomes)))


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


def by_comparison(outcome: Outcome) -> list[tuple[str, str, list[tuple[str, str, str, str]]]]:
    """Return the tests of a claim, those of one comparison together.

    Returns:
        For each comparison its words, why its threshold, and for each score what is compared, the
        verdict, the numbers and what they rest on.
    """
    groups = groupby(outcome.tests, key=lambda test: (test.name, test.reason))
    return [(name, reason, [_line(test) for test in tests]) for (name, reason), tests in groups]


def _line(test: TestOutcome) -> tuple[str, str, str, str]:
    beside = [basis(test)] if test.found else []
    if test.paper is not None:
        beside.append(f"paper {test.paper:+.3f}".replace("-", "\N{MINUS SIGN}"))
    return test.score, test.verdict, numbers(test), "; ".join(beside)


def _answer(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in outcomes)
    measured = len(outcomes) - counts[NOT_MEASURED]
    if not measured:
        return (
            f"None of the paper's {len(outcomes)} findings can be tested with this study: it lacks "
            "the variants or the scores that they compare."
        )
    parts = [f"{counts[name]} {name}" for name in VERDICTS if name != NOT_MEASURED]
    return (
        f"{measured} of the paper's {len(outcomes)} findings can be tested with this study: "
        f"{', '.join(parts)}."
    )


def _unsure(outcomes: Sequence[Outcome]) -> list[str]:
    tests = [test for outcome in outcomes for test in outcome.tests if test.found]
    if not tests:
        return []
    bases = Counter(test.found.basis for test in tests if test.found)
    sentences = [
        f"The claims make {len(tests)} tests, each at 95\u00a0%, without correction for their "
        "number. Verdicts are about this study's pairs, not about languages at large."
    ]
    if bases[ITEMS]:
        sentences.append(
            f"{bases[ITEMS]} of them rest on one seed: their intervals cover the choice of test "
            "items, not that of the seed."
        )
    if bases[PAIRS]:
        sentences.append(
            f"{bases[PAIRS]} have one seed and scores without intervals: their intervals come from "
            "the differences between pairs."
        )
    if bases[NOTHING]:
        sentences.append(f"{bases[NOTHING]} have no interval, so they are inconclusive.")
    return sentences


def claims_frame(outcomes: Sequence[Outcome]) -> "pd.DataFrame":
    """Return one row per test: claim, finding, its verdict, the test, its numbers.

    Values, interval ends and threshold are in the scores' own units; ``paper`` is the same number
    from the published table. What is not measured has no numbers.
    """
    import pandas as pd

    rows = []
    for outcome in outcomes:
        for test in outcome.tests:
            row = {
                "claim": outcome.claim.id,
                "finding": outcome.claim.finding,
                "claim_verdict": outcome.verdict,
                "test": test.name,
                **{name: getattr(test, name) for name in ("score", "verdict", "above", "paper")},
            }
            if found := test.found:
                row |= {name: getattr(found, name) for name in ("value", "low", "high", "basis")}
                row |= {"pairs": found.groups, "seeds": found.seeds, "cells": found.cells}
            rows.append(row)
    whole = dict.fromkeys(("pairs", "seeds", "cells"), "Int64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(whole)


def write_claims(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write ``claims.csv`` into a study's folder."""
    with atomic_file(folder / CLAIMS) as file:
        write_table(claims_frame(outcomes), file)


def numbers(test: TestOutcome) -> str:
    """Write a test's estimate, interval and threshold, e.g. ``+0.120 [+0.080, +0.160] > 0``."""
    if test.found is None:
        return NOT_MEASURED
    found = test.found
    interval = "no interval"
    if not math.isnan(found.low):
        interval = f"[{found.low:+.3f}, {found.high:+.3f}]"
    return f"{found.value:+.3f} {interval} > {test.above:g}".replace("-", "\N{MINUS SIGN}")


def basis(test: TestOutcome) -> str:
    """Say what a test rests on: pairs, seeds, and what its interval is made from."""
    if test.found is None:
        return ""
    found = test.found
    counts = [
        f"{number} {noun}{'s' * (number > 1)}"
        for number, noun in ((found.groups, "pair"), (found.seeds, "seed"))
        if number
    ]
    return f"{', '.join(counts)}; interval from {found.basis}"


def as_text(outcomes: Sequence[Outcome]) -> str:
    """Return the claims as plain text: each claim, and below it its tests."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    verdicts = ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])
    lines = [f"{len(outcomes)} claims: {verdicts}"]
    for outcome in outcomes:
        claim = outcome.claim
        lines += [
            "",
            f"{outcome.verdict.upper()}  {claim.id}"
            f" ({outcome.measured} of {len(outcome.tests)} tests measured)",
            textwrap.indent(textwrap.fill(f"{claim.finding} ({claim.source})", _WIDTH - 2), "  "),
        ]
        if outcome.lacks:
            lines.append(f"  {outcome.lacks}")
        for name, _, tests in by_comparison(outcome):
            lines.append(f"  - {name}")
            for score, judged, found, beside in tests:
                measured = judged != NOT_MEASURED
                rest = f"{judged:<13} {found}  ({beside})" if measured else found
                lines.append(f"      {score:<22} {rest}")
    return "\n".join(lines)
