"""The ledger as a table for programs (``ledger.csv``) and as text for a terminal."""

import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xling.csv_tables import write_table
from xling.files import atomic_file
from xling.report.ledger.evaluate import Outcome, TestOutcome
from xling.report.ledger.interval import NOT_MEASURED, VERDICTS

if TYPE_CHECKING:
    import pandas as pd

LEDGER = "ledger.csv"
COLUMNS = (
    *("claim", "finding", "claim_verdict", "test", "score", "verdict"),
    *("value", "low", "high", "above", "basis", "pairs", "seeds", "cells", "paper"),
)
_WIDTH = 100


def ledger_frame(outcomes: Sequence[Outcome]) -> "pd.DataFrame":
    """Return one row a test: claim, finding, its verdict, the test, its numbers.

    Values, interval ends and threshold are in the scores' own units; ``paper`` is the same number
    from the published table. What is not measured has no numbers.
    """
    import pandas as pd

    rows = []
    for outcome in outcomes:
        for test in outcome.tests:
            found = test.found
            row = {
                "claim": outcome.claim.id,
                "finding": outcome.claim.finding,
                "claim_verdict": outcome.verdict,
                "test": test.name,
                "score": test.score,
                "verdict": test.verdict,
                "above": test.above,
                "paper": test.paper,
            }
            if found:
                row |= {name: getattr(found, name) for name in ("value", "low", "high", "basis")}
                row |= {"pairs": found.groups, "seeds": found.seeds, "cells": found.cells}
            rows.append(row)
    whole = dict.fromkeys(("pairs", "seeds", "cells"), "Int64")
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(whole)


def write_ledger(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write ``ledger.csv`` into a study's folder."""
    with atomic_file(folder / LEDGER) as file:
        write_table(ledger_frame(outcomes), file)


def count_verdicts(outcomes: Sequence[Outcome]) -> str:
    """Say how many claims came out how, e.g. ``"3 supported, 1 inconclusive"``."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    return ", ".join(f"{counts[name]} {name}" for name in VERDICTS if counts[name])


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
    """Return the ledger as plain text: each claim, and below it its tests."""
    lines = [f"{len(outcomes)} claims: {count_verdicts(outcomes)}"]
    for outcome in outcomes:
        claim = outcome.claim
        lines += [
            "",
            f"{outcome.verdict.upper()}  {claim.id}"
            f" ({outcome.measured} of {len(outcome.tests)} tests measured)",
            *textwrap.wrap(
                f"{claim.finding} ({claim.source})",
                _WIDTH,
                initial_indent="  ",
                subsequent_indent="  ",
            ),
        ]
        if outcome.lacks:
            lines.append(f"  {outcome.lacks}")
        last = ""
        for test in outcome.tests:
            if test.name != last:
                lines.append(f"  - {test.name}")
                last = test.name
            paper = "" if test.paper is None else f"; paper {test.paper:+.3f}"
            rest = f"  ({basis(test)}{paper})" if test.found else ""
            judged = "" if test.found is None else f"{test.verdict:<13} "
            lines.append(f"      {test.score:<22} {judged}{numbers(test)}{rest}")
    return "\n".join(lines)
