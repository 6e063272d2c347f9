"""When languages come to share a space: the scores of snapshots by step, and their chart."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from xling import formatting
from xling.report.charts import Figure, Panel, described, finished, logarithmic_steps
from xling.report.scores import (
    ALL_TOKENS,
    ANCHOR_FREE,
    CENTRED,
    CKA,
    PLAIN,
    POINT,
    QUANTITIES,
    RETRIEVAL,
    average,
    split_scores,
)
from xling.report.tables import ABSENT, Cell, Table
from xling.results import CHANCE, TRAINED

if TYPE_CHECKING:
    import pandas as pd

LEAST_RISE = 0.02
# From the lowest layer to the highest: hue and lightness both change evenly, in the middle of the
# range, so that every line stands out from white and from black and the order survives greys.
_LOW, _MIDDLE, _HIGH = (0x2B, 0x6C, 0xB0), (0x8E, 0x86, 0x8C), (0xE8, 0x8A, 0x1A)
_HEIGHT = 150


@dataclass(frozen=True)
class Curves:
    """What one figure of emergence shows.

    Attributes:
        pair: The comparison.
        dataset: The parallel set.
        family: Retrieval or CKA.
        tokens: All tokens or anchor-free.
        measure: Which measure of the family.
        points: One row per variant, layer and step: value, least and greatest of the seeds, seeds.
        chance: Chance, or None.
        seeds: The same, with a row per run; the column run is its seed.
    """

    pair: str
    dataset: str
    family: str
    tokens: str
    measure: str
    points: "pd.DataFrame"
    chance: float | None
    seeds: "pd.DataFrame"


def emergence_points(emergence: "pd.DataFrame") -> "pd.DataFrame":
    """Average ``emergence.csv`` over directions and seeds.

    Returns:
        What ``scores.average`` does, for every step, with a column step.
    """
    points = average(split_scores(emergence), [*POINT, "step"])
    return points.sort_values("step", kind="stable", ignore_index=True)


def seed_points(emergence: "pd.DataFrame") -> "pd.DataFrame":
    """Average ``emergence.csv`` over directions only: a further column, run, is the seed."""
    split = split_scores(emergence)
    return average(split.assign(run=split["seed"]), [*POINT, "step", "run"])


def curves(points: "pd.DataFrame", seeds: "pd.DataFrame", pair: str) -> list[Curves]:
    """Choose what to draw for a pair: for each data set, retrieval and CKA.

    The strictest form that exists: without the tokens that both languages have, and retrieval
    after centring, since early in training all vectors point the same way.
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
                    seeds[
                        seeds["pair"].eq(pair)
                        & seeds["dataset"].eq(dataset)
                        & seeds["family"].eq(family)
                        & seeds["tokens"].eq(tokens)
                        & seeds["measure"].eq(measure)
                        & seeds["encoder"].eq(TRAINED)
                    ],
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
            note = _onset(curve, shown.seeds, variant, layer)
            last = curve.sort_values("step")["value"].to_numpy()[-1]
            cells.append(Cell(formatting.score(float(last)), "number", (note,)))
        rows.append((Cell(variant), *cells))
    heads = [f"layer {layer}" for layer in layers]
    return Table(
        "Value at the last step, and the step from which it stays above half of its rise",
        ("variant", *heads),
        1,
        tuple(rows),
        note=(
            "The rise is counted from the first step measured to the last; a rise below "
            f"{LEAST_RISE} does not count. Steps are known only as finely as they were measured. "
            "The step is that of the mean of all seeds; in brackets the least and the greatest of "
            "single seeds."
        ),
    )


def _onset(curve: "pd.DataFrame", seeds: "pd.DataFrame", variant: str, layer: int) -> str:
    """Say when a curve is half-way, and between which steps its single seeds are."""
    half = half_way(curve)
    if half is None:
        return "no rise"
    said = f"half by step {formatting.count(half)}"
    of_layer = seeds[seeds["variant"].eq(variant) & seeds["layer"].eq(layer)]
    each = [half_way(of_seed) for _, of_seed in of_layer.groupby("run")]
    steps = [step for step in each if step is not None]
    if len(each) < 2 or not steps:
        return said
    ends = " to ".join(formatting.count(step) for step in dict.fromkeys((min(steps), max(steps))))
    some = "" if len(steps) == len(each) else f" in {len(steps)} of {len(each)} seeds"
    return f"{said} ({ends}{some})"


def layer_colours(layers: list[int]) -> dict[int, str]:
    """Return a colour for each layer, ordered from blue to orange."""
    ordered = sorted(layers)
    last = max(len(ordered) - 1, 1)
    return {layer: _between(place / last) for place, layer in enumerate(ordered)}


def _between(share: float) -> str:
    ends = (_LOW, _MIDDLE) if share < 0.5 else (_MIDDLE, _HIGH)
    part = share * 2 if share < 0.5 else share * 2 - 1
    mixed = (round(a + (b - a) * part) for a, b in zip(*ends, strict=True))
    return "#" + "".join(f"{value:02x}" for value in mixed)


def emergence_spec(
    points: "pd.DataFrame",
    shown: Curves,
    title: str,
    quantity: str,
    interactive: bool,
) -> dict[str, object]:
    """Draw the layers of one variant by step; all panels of a figure have the same axes.

    Args:
        points: The variant's part of ``shown.points``.
        shown: What the whole figure shows.
        title: Printed above the chart in files.
        quantity: The axis title.
        interactive: True for a page, False for a file.
    """
    import altair as alt

    colours = layer_colours(sorted({int(layer) for layer in shown.points["layer"]}))
    steps = shown.points["step"]
    scale = alt.Scale(domain=[0, float(shown.points["greatest"].max())], nice=True)
    y = alt.Y("value:Q", title=None if interactive else quantity, scale=scale)
    base = alt.Chart().encode(
        x=alt.X(
            "step:Q",
            title="step",
            scale=alt.Scale(
                type="log", domain=[int(steps.min()), max(int(steps.max()), 2)], nice=False
            ),
            axis=alt.Axis(format="~s", grid=False, values=logarithmic_steps(steps)),
        ),
        y=y,
        color=alt.Color(
            "layer:O",
            scale=alt.Scale(domain=list(colours), range=list(colours.values())),
            legend=None if interactive else alt.Legend(title="layer", symbolOpacity=1),
        ),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("layer:Q", format="d"),
            alt.Tooltip("step:Q", format=",d"),
            alt.Tooltip("value:Q", format=".3f", title=quantity),
            alt.Tooltip("range:N", title="over seeds"),
        ],
    )
    charts: list[alt.Chart] = []
    if shown.chance is not None:
        rule = (
            alt.Chart()
            .transform_calculate(chance=repr(shown.chance))
            .mark_rule(strokeDash=[1, 4], strokeWidth=1.5, color="currentColor", opacity=0.75)
        )
        charts.append(rule.encode(y=alt.Y("mean(chance):Q", title=None, scale=scale)))
    charts.append(base.mark_line(strokeWidth=2).encode(detail=alt.Detail("layer:O")))
    charts.append(base.mark_point(filled=True, size=22, opacity=1))
    if interactive:
        charts.append(base.mark_circle(size=300, opacity=0))
    ranges = [
        f"{least:.3f} to {greatest:.3f}, {seeds} seeds" if seeds > 1 else "one seed"
        for least, greatest, seeds in zip(
            points["least"], points["greatest"], points["seeds"], strict=True
        )
    ]
    data = points.assign(range=ranges)[["variant", "layer", "step", "value", "range"]]
    return finished(charts, data, title, interactive, height=_HEIGHT)


def emergence_figure(shown: Curves, variants: tuple[str, ...], name: str) -> Figure:
    """Draw the scores of one pair, data set and measure by step: a panel per variant."""
    quantity = QUANTITIES[shown.family]
    what = "Sentence retrieval" if shown.family == RETRIEVAL else "Similarity (CKA)"
    there = [variant for variant in variants if shown.points["variant"].eq(variant).any()]
    panels = []
    for variant in there:
        points = shown.points[shown.points["variant"].eq(variant)]
        description = described(points, "step", f"{quantity} by step, {variant}", ["layer"])
        draw = partial(emergence_spec, points, shown, variant, quantity)
        panels.append(Panel.of(variant, description, draw, variant=variant))
    colours = layer_colours(sorted({int(layer) for layer in shown.points["layer"]}))
    return Figure(
        name=name,
        pair=shown.pair,
        title=f"{what} as training goes on: {shown.pair}, {shown.dataset}",
        caption=_emergence_caption(shown),
        columns=min(len(panels), 4),
        panels=tuple(panels),
        layers=tuple(colours.items()),
        table=rise_table(shown, variants),
    )


def _emergence_caption(shown: Curves) -> str:
    form = "without the tokens that the two languages share"
    quantity = QUANTITIES[shown.family]
    centred = ", each language's vectors centred" if shown.measure == CENTRED else ""
    sentences = [
        f"{quantity[0].upper()}{quantity[1:]} of snapshots of the weights, mean of all seeds, "
        f"{form if shown.tokens == ANCHOR_FREE else 'over all tokens'}{centred}",
        "One panel per variant, one line per layer; the axis of steps is logarithmic, and all "
        "panels have the same axes",
        "Snapshots are scored on fewer lines than in the figures by layer, "
        + ("so retrieval is higher" if shown.family == RETRIEVAL else "so compare them only here"),
    ]
    if shown.chance is not None:
        sentences.append("Dotted line: chance")
    return ". ".join(sentences) + "."
