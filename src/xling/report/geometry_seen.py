"""What is seen in a figure of aligned and compared models, said beside what the paper found."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xling.report import words
from xling.report.geometry import CUT, MAPPED, Kind
from xling.report.over_seeds import reference
from xling.report.scores import CHANCE, RANDOM, TRAINED, UNMAPPED

if TYPE_CHECKING:
    import pandas as pd

_PANEL = ["pair", "dataset"]


def seen(
    points: "pd.DataFrame",
    kind: Kind,
    independent: Sequence[str],
    variants: Sequence[str],
) -> str:
    """Say in sentences where the curves of a figure are highest and what is beside them.

    The first variant of independent models is described, beside the study's reference variant
    (``default``, or else the first) of the bilingual ones.

    Args:
        points: From ``geometry.curve_points``.
        kind: The figure.
        independent: Variants whose languages have models of their own, in the study's order.
        variants: Variants with scores, in the study's order.
    """
    there = set(points["variant"])
    alone = next((name for name in independent if name in there), "")
    together = reference([name for name in variants if name in there and name not in independent])
    trained = points[points["encoder"].eq(TRAINED)]
    about = together if kind.shows == MAPPED else alone or together
    own = trained[trained["variant"].eq(about)]
    if own.empty:
        return "there are no scores of independent models." if kind.shows == CUT else ""
    said = [_highest(own, about)]
    if kind.shows == CUT:
        cut = points[points["variant"].eq(together) & points["encoder"].eq(UNMAPPED)]
        said.append(_apart(own, cut, f"below {together} cut at its best layer"))
    elif kind.shows == MAPPED:
        cut = points[points["variant"].eq(together) & points["encoder"].eq(UNMAPPED)]
        said.append(_apart(cut, own, "below the mapped one without the map"))
    elif kind.floor[0]:
        floor = points[points["variant"].eq(about) & points["encoder"].eq(CHANCE)]
        said.append(_beyond(own, floor, "static vectors"))
    if kind.shows != MAPPED:
        bound = points[points["variant"].eq(about) & points["encoder"].eq(RANDOM)]
        said.append(_above(own, bound, about, "the untrained one"))
    if kind.probe == "similarity" and alone and together:
        said.append(_above(trained[trained["variant"].eq(together)], own, together, alone))
    return " ".join(sentence for sentence in said if sentence)


def _highest(curve: "pd.DataFrame", variant: str) -> str:
    best = curve.loc[curve.groupby(_PANEL, sort=False)["value"].idxmax()]
    several = best["pair"].duplicated().any()
    places = [
        f"{row['layer']} ({row['pair']}{', ' + row['dataset'] if several else ''}: "
        f"{words.score(row['value'])})"
        for row in best.to_dict("records")
    ]
    layers = f"{curve['layer'].min()} to {curve['layer'].max()}"
    return f"{variant} is highest at layer {words.listing(places)}, of layers {layers}."


def _apart(lower: "pd.DataFrame", upper: "pd.DataFrame", how: str) -> str:
    """Give the mean over panels of how far the best of one lies below the best of another."""
    gaps = _best(upper) - _best(lower)
    gaps = gaps.dropna()
    if gaps.empty:
        return ""
    mean = float(gaps.mean())
    if mean < 0:
        how = how.replace("below", "above", 1)
    return f"On average over {_panels(len(gaps))}, it is {words.score(abs(mean))} {how}."


def _beyond(curve: "pd.DataFrame", floor: "pd.DataFrame", name: str) -> str:
    """Count the panels whose best layer beats a baseline without layers."""
    # The baseline belongs to the same dictionary and pair, under a data set of its own.
    gaps = (_best(curve).groupby("pair").max() - _best(floor).groupby("pair").max()).dropna()
    if gaps.empty:
        return ""
    return f"Its best layer is above {name} in {int((gaps > 0).sum())} of {_panels(len(gaps))}."


def _above(upper: "pd.DataFrame", lower: "pd.DataFrame", name: str, other: str) -> str:
    """Count the layers at which one curve is at or above another."""
    key = [*_PANEL, "layer"]
    both = upper.merge(lower, on=key, suffixes=("", "_other"))
    if both.empty:
        return ""
    count = int((both["value"] >= both["value_other"]).sum())
    means = both["value"].mean(), both["value_other"].mean()
    return (
        f"{name} is at or above {other} at {count} of {len(both)} layers and pairs (means "
        f"{words.score(means[0])} and {words.score(means[1])})."
    )


def _best(curve: "pd.DataFrame") -> "pd.Series":
    return curve.groupby(_PANEL, sort=False)["value"].max()


def _panels(count: int) -> str:
    return "one pair" if count == 1 else f"{count} pairs"
