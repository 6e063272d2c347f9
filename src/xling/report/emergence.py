"""When languages come to share a space: the probes of weights kept on the way, by step."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xling.report import words
from xling.report.scores import (
    ALL_TOKENS,
    ANCHOR_FREE,
    CENTRED,
    CHANCE,
    CKA,
    PLAIN,
    RETRIEVAL,
    TRAINED,
    average,
    split_scores,
)
from xling.report.tables import ABSENT, Cell, Table

if TYPE_CHECKING:
    import pandas as pd

LEAST_RISE = 0.02


@dataclass(frozen=True)
class Curves:
    """What one figure of emergence shows.

    Attributes:
        pair: The comparison.
        dataset: The parallel set.
        family: Retrieval or CKA.
        tokens: All tokens or anchor-free.
        measure: Which measure of the family.
        points: One row a variant, layer and step: value, least and greatest of the seeds, seeds.
        chance: Chance, or None.
    """

    pair: str
    dataset: str
    family: str
    tokens: str
    measure: str
    points: "pd.DataFrame"
    chance: float | None


def emergence_points(emergence: "pd.DataFrame") -> "pd.DataFrame":
    """Average ``emergence.csv`` over directions and seeds.

    Returns:
        What ``scores.average`` does, for every step, with a column step.
    """
    import pandas as pd

    frames = [
        average(split_scores(emergence[emergence["step"].eq(step)])).assign(step=step)
        for step in sorted(map(int, emergence["step"].unique()))
    ]
    if not frames:
        return pd.DataFrame(columns=["pair", "dataset", "family", "step"])
    return pd.concat(frames, ignore_index=True)


def curves(points: "pd.DataFrame", pair: str) -> list[Curves]:
    """Choose what to draw for a pair: of each data set, retrieval and CKA.

    The strictest form there is: without the tokens both languages have, and retrieval after
    centring, since early in training all vectors point the same way.
    """
    found = []
    of_pair = points[points["pair"].eq(pair)]
    for dataset in dict.fromkeys(of_pair["dataset"]):
        for family, measures in ((RETRIEVAL, (CENTRED, PLAIN)), (CKA, (CKA,))):
            chosen = of_pair[of_pair["dataset"].eq(dataset) & of_pair["family"].eq(family)]
            if not chosen["encoder"].eq(TRAINED).any():
                continue
            tokens = ANCHOR_FREE if chosen["tokens"].eq(ANCHOR_FREE).any() else ALL_TOKENS
            chosen = chosen[chosen["tokens"].eq(tokens)]
            measure = next(name for name in measures if chosen["measure"].eq(name).any())
            chosen = chosen[chosen["measure"].eq(measure)]
            floor = chosen.loc[chosen["encoder"].eq(CHANCE), "value"]
            found.append(
                Curves(
                    pair,
                    dataset,
                    family,
                    tokens,
                    measure,
                    chosen[chosen["encoder"].eq(TRAINED)],
                    float(floor.mean()) if len(floor) else None,
                )
            )
    return found


def half_way(curve: "pd.DataFrame") -> int | None:
    """Return the first step from which a curve is above half of its rise and stays there.

    Args:
        curve: One variant and layer, with step and value.

    Returns:
        None if it ends less than 0.02 above where it began.
    """
    ordered = curve.sort_values("step")
    values, steps = ordered["value"].to_numpy(), ordered["step"].to_numpy()
    rise = values[-1] - values[0]
    if rise < LEAST_RISE:
        return None
    below = (values < values[0] + rise / 2).nonzero()[0]
    return int(steps[below[-1] + 1])


def describe(variant: str, points: "pd.DataFrame") -> str:
    """Say in sentences how the layers of one variant rise."""
    sentences = []
    for layer, curve in points.groupby("layer"):
        ordered = curve.sort_values("step")
        first, last = ordered.iloc[0], ordered.iloc[-1]
        half = half_way(curve)
        when = "no rise" if half is None else f"half of the rise by step {words.count(half)}"
        sentences.append(
            f"layer {layer}: {first['value']:.3f} at step {words.count(first['step'])}, "
            f"{last['value']:.3f} at step {words.count(last['step'])}, {when}"
        )
    return f"{variant}; {'; '.join(sentences)}."


def rise_table(shown: Curves, variants: tuple[str, ...]) -> Table:
    """Tell by variant and layer how high a score ends, and when half of its rise was reached."""
    layers = sorted({int(layer) for layer in shown.points["layer"]})
    rows = []
    for variant in variants:
        of_variant = shown.points[shown.points["variant"].eq(variant)]
        if of_variant.empty:
            continue
        cells = []
        for layer in layers:
            curve = of_variant[of_variant["layer"].eq(layer)]
            if curve.empty:
                cells.append(Cell(ABSENT, "number"))
                continue
            half = half_way(curve)
            note = "no rise" if half is None else f"half by step {words.count(half)}"
            last = curve.sort_values("step")["value"].to_numpy()[-1]
            cells.append(Cell(words.score(float(last)), "number", (note,)))
        rows.append((Cell(variant), *cells))
    heads = [f"layer {layer}" for layer in layers]
    return Table(
        "Value at the last step, and the step from which it stays above half of its rise",
        ("variant", *heads),
        1,
        tuple(rows),
        note=(
            "The rise is counted from the first step measured to the last; where it is below "
            f"{LEAST_RISE} there is none. Steps are known only as finely as they were measured."
        ),
    )
