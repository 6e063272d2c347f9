"""Charts of emergence: one variant, a line a layer, by training step."""

from typing import TYPE_CHECKING, Any

from xling.report.charts import finished, logarithmic_steps
from xling.report.emergence import Curves

if TYPE_CHECKING:
    import pandas as pd

# From the lowest layer to the highest: hue and lightness both change evenly, in the middle of the
# range, so that every line stands out from white and from black and the order survives greys.
_LOW, _MIDDLE, _HIGH = (0x2B, 0x6C, 0xB0), (0x8E, 0x86, 0x8C), (0xE8, 0x8A, 0x1A)
_HEIGHT = 150


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
) -> dict[str, Any]:
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
    charts: list[Any] = []
    if shown.chance is not None:
        rule = (
            alt.Chart()
            .transform_calculate(chance=repr(shown.chance))
            .mark_rule(strokeDash=[1, 4], strokeWidth=1.5, color="currentColor", opacity=0.75)
        )
        charts.append(rule.encode(y=alt.Y("mean(chance):Q", title=None, scale=scale)))
    charts.append(base.mark_line(strokeWidth=2).encode(detail="layer:O"))
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
