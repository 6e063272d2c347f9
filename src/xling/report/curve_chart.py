"""Charts of learning curves: loss and perplexity by step."""

import math
from typing import TYPE_CHECKING, Any

from xling.report.charts import colour, finished, marks, opacity

if TYPE_CHECKING:
    import pandas as pd


def curve_spec(
    curves: "pd.DataFrame",
    variants: tuple[str, ...],
    title: str,
    quantity: str,
    interactive: bool,
) -> dict[str, Any]:
    """Draw a learning curve by step, one line a variant and seed.

    Args:
        curves: Rows of one language and kind, from ``series.learning_curves``.
        variants: All variants of the study, which decides their colours.
        title: Printed above the chart in files.
        quantity: The axis title; a perplexity gets a logarithmic axis.
        interactive: True for a page (parameter ``hidden``), False for a file.
    """
    import altair as alt

    perplexity = "perplexity" in quantity
    base = alt.Chart().encode(
        x=alt.X("step:Q", title="step", axis=alt.Axis(format="~s", grid=False, tickCount=5)),
        y=alt.Y(
            "value:Q",
            title=None if interactive else quantity,
            scale=alt.Scale(type="log", nice=False)
            if perplexity
            else alt.Scale(zero=False, nice=True),
            axis=alt.Axis(format="~s", values=_round_values(curves)) if perplexity else alt.Axis(),
        ),
        color=colour(variants, interactive),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("seed:Q", format="d"),
            alt.Tooltip("step:Q", format=",d"),
            alt.Tooltip("value:Q", format=",.1f" if perplexity else ".3f", title=quantity),
        ],
    )
    line = base.mark_line(strokeWidth=1.8).encode(detail="series:N")
    line = line.encode(opacity=opacity(1, 1, interactive))
    points = marks(base, variants, interactive, visible=perplexity)
    data = curves[["variant", "seed", "series", "step", "value"]]
    return finished([line, *points], data, title, interactive)


def _round_values(curves: "pd.DataFrame") -> list[float]:
    """Return the 1, 2 and 5 of every power of ten within the data, for a logarithmic axis."""
    least, greatest = curves["value"].min(), curves["value"].max()
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
    values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [value for value in values if least <= value <= greatest]
