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


def combined(verdicts: Sequence[str]) -> str:
    """Judge a claim by its tests, all of which must hold; those not measured say nothing."""
    measured = [found for found in verdicts if found != NOT_MEASURED]
    if not measured:
        return NOT_MEASURED
    if NOT_SUPPORTED in measured:
        return NOT_SUPPORTED
    return SUPPORTED if set(measured) == {SUPPORTED} else INCONCLUSIVE
