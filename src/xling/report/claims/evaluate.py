"""All claims tested on a study's results."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from xling.estimate import MODELS, NOTHING, Estimate, estimate
from xling.report.claims.claim import Claim, Claims, Contrast, Correlation, load_claims
from xling.report.claims.contrasts import Cells, InfluenceOf, contrast_cells
from xling.report.geometry import correlated_points, correlation
from xling.report.published import BASE, load_published
from xling.results import ABOVE, BELOW, standing

if TYPE_CHECKING:
    import pandas as pd

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
INCONCLUSIVE, NOT_MEASURED = "inconclusive", "not measured"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_MEASURED)


@dataclass(frozen=True)
class TestOutcome:
    """One test of one score.

    Attributes:
        name: The comparison in words.
        score: What is compared, as readers call it.
        above: The threshold.
        reason: Why.
        found: The number; None if not measured.
        verdict: What it says.
        paper: The same number from the paper's published table; None if that does not have it.
    """

    __test__ = False  # not a test of the project's own

    name: str
    score: str
    above: float
    reason: str
    found: Estimate | None
    verdict: str
    paper: float | None


@dataclass(frozen=True)
class Outcome:
    """A claim and what its tests say together.

    Attributes:
        claim: The claim.
        tests: Its tests.
        verdict: What they say.
        lacks: What a better verdict would need; empty if nothing is known to be missing.
    """

    claim: Claim
    tests: tuple[TestOutcome, ...]
    verdict: str
    lacks: str = ""

    @property
    def measured(self) -> int:
        """How many of its tests could be made."""
        return sum(test.verdict != NOT_MEASURED for test in self.tests)


def evaluate(
    results: "pd.DataFrame",
    pairs: Sequence[str],
    influence: InfluenceOf | None = None,
    claims: Claims | None = None,
) -> tuple[Outcome, ...]:
    """Test every claim; one without its scores is not measured, which is no error.

    Args:
        results: A study's table of scores.
        pairs: The study's pairs from near to far.
        influence: Gives the influence values of test items on a model's scores.
        claims: Other claims than those of ``claims.yaml``.
    """
    book = claims or load_claims()
    cells, (paper, paper_pairs) = Cells(results, influence), _paper()
    outcomes = []
    for claim in book.claims:
        comparisons: list[list[TestOutcome]] = []
        for test in claim.tests:
            if isinstance(test, Correlation):
                found = correlation_estimate(results, test, pairs)
                comparisons.append([_outcome(test, "CKA, retrieval", found, None)])
                continue
            comparisons.append([])
            for score in test.scores:
                here, there = (
                    estimate(contrast_cells(read, test, score, book.scores, order))
                    for read, order in ((cells, pairs), (paper, paper_pairs))
                )
                label = book.scores[score].label
                outcome = _outcome(test, label, here, there.value if there else None)
                comparisons[-1].append(outcome)
        judged = combined([[test.verdict for test in tests] for tests in comparisons])
        tests = tuple(chain.from_iterable(comparisons))
        lacks = _lacks(claim, tests, book) if judged == SUPPORTED else ""
        outcomes.append(Outcome(claim, tests, INCONCLUSIVE if lacks else judged, lacks))
    return tuple(outcomes)


def _lacks(claim: Claim, tests: Sequence[TestOutcome], book: Claims) -> str:
    """Say what a claim about transfer needs that no measured test has; empty if nothing."""
    asked = [test.scores for test in claim.tests if isinstance(test, Contrast)]
    names = dict.fromkeys(chain.from_iterable(asked))
    tasks = [book.scores[name].label for name in names if book.scores[name].task]
    if not tasks or any(test.found and test.score in tasks for test in tests):
        return ""
    seeds = max(test.found.seeds for test in tests if test.found)
    alone = ", with one seed," if seeds == 1 else ""
    named = ", ".join(tasks)
    return f"no task was measured ({named}): retrieval alone{alone} does not show transfer"


@cache
def _paper() -> tuple[Cells, tuple[str, ...]]:
    """Return the published scores and their pairs from near to far."""
    published = load_published()
    pairs = tuple(f"{BASE}-{language}" for language in published.languages)
    return Cells(published.as_results()), pairs


def _outcome(
    test: Contrast | Correlation, label: str, found: Estimate | None, paper: float | None
) -> TestOutcome:
    judged = verdict(found, test.above)
    return TestOutcome(test.name, label, test.above, test.reason, found, judged, paper)


def correlation_estimate(
    results: "pd.DataFrame", test: Correlation, pairs: Sequence[str]
) -> Estimate | None:
    """Correlate CKA with retrieval after alignment, as ``geometry.correlation`` does.

    Args:
        results: A study's table of scores.
        test: Which variants.
        pairs: The study's pairs; others do not count.

    Returns:
        The estimate; None if there is no correlation.
    """
    points = correlated_points(results)
    points = points[points["variant"].isin(test.correlated) & points["pair"].isin(pairs)]
    value, low, high = correlation(points)
    if math.isnan(value):
        return None
    basis = NOTHING if math.isnan(low) else MODELS
    seeds = int(points.groupby(["variant", "pair"])["seed"].nunique().max())
    return Estimate(value, low, high, points["pair"].nunique(), len(points), seeds, basis)


def verdict(found: Estimate | None, above: float) -> str:
    """Judge one test.

    Args:
        found: The estimate; None if its scores are not there.
        above: The threshold.
    """
    if found is None:
        return NOT_MEASURED
    judged = str(standing(found.low, found.high, above, above))
    return {ABOVE: SUPPORTED, BELOW: NOT_SUPPORTED}.get(judged, INCONCLUSIVE)


def combined(comparisons: Sequence[Sequence[str]]) -> str:
    """Judge a claim by its comparisons, all of which must hold.

    Args:
        comparisons: Each one's verdicts, a score a verdict. Scores that are not measured say
            nothing, but a comparison without any leaves the claim open, unless another fails.
    """
    measured = [[v for v in verdicts if v != NOT_MEASURED] for verdicts in comparisons]
    found = {verdict for verdicts in measured for verdict in verdicts}
    if NOT_SUPPORTED in found:
        return NOT_SUPPORTED
    if not all(measured):
        return NOT_MEASURED
    return SUPPORTED if found == {SUPPORTED} else INCONCLUSIVE
