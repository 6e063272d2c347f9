"""What is read off aligned and compared models: in sentences, and as tables of best layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.report.geometry import CUT, MAPPED, Kind
from xling.report.over_seeds import reference
from xling.report.tables import ABSENT, Cell, Table, figure
from xling.results import CHANCE, STATIC, TRAINED, UNMAPPED, UNTRAINED, of_targets

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
        bound = points[points["variant"].eq(about) & points["encoder"].eq(UNTRAINED)]
        said.append(_above(own, bound, about, "the untrained one"))
    if kind.probe == "similarity" and alone and together:
        said.append(_above(trained[trained["variant"].eq(together)], own, together, alone))
    return " ".join(sentence for sentence in said if sentence)


def _highest(curve: "pd.DataFrame", variant: str) -> str:
    best = curve.loc[curve.groupby(_PANEL, sort=False)["value"].idxmax()]
    several = best["pair"].duplicated().any()
    places = [
        f"{row['layer']} ({row['pair']}{', ' + row['dataset'] if several else ''}: "
        f"{formatting.score(row['value'])})"
        for row in best.to_dict("records")
    ]
    layers = f"{curve['layer'].min()} to {curve['layer'].max()}"
    return f"{variant} is highest at layer {formatting.listing(places)}, of layers {layers}."


def _apart(lower: "pd.DataFrame", upper: "pd.DataFrame", how: str) -> str:
    """Give the mean over panels of how far the best of one lies below the best of another."""
    gaps = _best(upper) - _best(lower)
    gaps = gaps.dropna()
    if gaps.empty:
        return ""
    mean = float(gaps.mean())
    if mean < 0:
        how = how.replace("below", "above", 1)
    return f"On average over {_panels(len(gaps))}, it is {formatting.score(abs(mean))} {how}."


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
        f"{formatting.score(means[0])} and {formatting.score(means[1])})."
    )


def _best(curve: "pd.DataFrame") -> "pd.Series":
    return curve.groupby(_PANEL, sort=False)["value"].max()


def _panels(count: int) -> str:
    return "one pair" if count == 1 else f"{count} pairs"


def best_layers(points: "pd.DataFrame", kind: Kind, variants: Sequence[str]) -> Table:
    """Write a row per pair and variant: the layer with the highest score, and what is beside it."""
    rows = []
    groups: Any = points.groupby(["pair", "dataset"], sort=False)
    for (pair, dataset), of_pair in groups:
        for variant in variants:
            here = of_pair[of_pair["variant"].eq(variant)]
            trained = here[here["encoder"].eq(TRAINED)]
            if trained.empty:
                trained = here[here["encoder"].eq(UNMAPPED)]
            if trained.empty:
                continue
            best = trained.loc[trained["value"].idxmax()]
            interval = (
                f"{formatting.score(best['low'])} to {formatting.score(best['high'])}"
                if best["low"] == best["low"]
                else ABSENT
            )
            beside = [
                figure(_at(here, encoder, int(best["layer"])), formatting.score)
                for encoder in (UNMAPPED, UNTRAINED, CHANCE)
            ]
            rows.append(
                (
                    Cell(str(pair)),
                    Cell(str(dataset)),
                    Cell(variant),
                    Cell(str(best["layer"]), "number"),
                    figure(best["value"], formatting.score),
                    Cell(interval, "number"),
                    *beside,
                    figure(best["seeds"], formatting.count),
                )
            )
    heads = ("layer", kind.quantity, "95\u00a0% interval", UNMAPPED, UNTRAINED, "baseline", "seeds")
    return Table(
        f"Best layers: {kind.title} ({kind.number})",
        ("pair", "data", "variant", *heads),
        3,
        tuple(rows),
    )


def _at(points: "pd.DataFrame", encoder: str, layer: int) -> float:
    chosen = points[points["encoder"].eq(encoder)]
    if encoder != CHANCE:
        chosen = chosen[chosen["layer"].eq(layer)]
    return float(chosen["value"].mean())


def embedding_table(results: "pd.DataFrame") -> Table | None:
    """Compare the embedding matrix with static vectors on the same words (Fig. 4a)."""
    rows = results[results["probe"].eq("lexicon-embedding") & of_targets(results)]
    scores = rows[rows["metric"].eq("p@1-csls")]
    if scores.empty:
        return None
    wide = scores.pivot_table("value", ["pair", "variant"], "condition", sort=False)
    covered = results[results["probe"].eq("lexicon-embedding") & results["metric"].eq("coverage")]
    covered = covered[covered["condition"].eq(TRAINED)]
    coverage = covered.groupby(["pair", "variant"])["value"].mean()
    entries: Any = wide.iterrows()
    cells = [
        (
            *map(Cell, key),
            *(figure(row.get(name), formatting.score) for name in (TRAINED, STATIC)),
            figure(coverage.get(key), "{:.0%}"),
        )
        for key, row in entries
    ]
    return Table(
        "Word translation from the embedding matrix (the paper's Fig. 4a): precision@1 by CSLS",
        ("pair", "variant", "embedding matrix", "static vectors, same words", "dictionary covered"),
        2,
        tuple(cells),
        note="Words of a single subword. The paper finds the embedding matrix at or above fastText "
        "on the same words. A dash: too few pairs for a rotation of that width. Covered: the share "
        "of the test dictionary's source words that have a vector and a translation with one.",
    )
