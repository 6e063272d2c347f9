"""What a number with an interval says of a claim."""

import math
from collections.abc import Sequence

from xling.report.ledger.interval import Estimate

SUPPORTED, NOT_SUPPORTED = "supported", "not supported"
INCONCLUSIVE, NOT_MEASURED = "inconclusive", "not measured"
VERDICTS = (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, NOT_MEASURED)


def verdict(found: Estimate | None, above: float) -> str:
    """Judge one test.

    Args:
        found: The estimate; None if its scores are not there.
        above: The threshold.
    """
    if found is None:
        return NOT_MEASURED
    if math.isnan(found.low) or math.isnan(found.high):
        return INCONCLUSIVE
    if found.low > above:
        return SUPPORTED
    return NOT_SUPPORTED if found.high < above else INCONCLUSIVE


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
