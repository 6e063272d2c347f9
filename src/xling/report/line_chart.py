"""Charts of a score over something ordered: layers, or the distance of two languages."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xling.report.charts import HEIGHT, MANY, colour, finished, marks, opacity
from xling.results import CHANCE, TRAINED, UNMAPPED, UNTRAINED

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

_LABEL_GAP = 15  # pixels between names at the ends of lines; the axis may round up, so ample


@dataclass(frozen=True)
class Axis:
    """What a score is drawn over.

    Attributes:
        column: Column of the points.
        title: Title of the axis.
        format: Format of its numbers.
        whole: Whether only whole numbers occur, from 0 on.
    """

    column: str
    title: str
    format: str
    whole: bool

    @property
    def greatest(self) -> float:
        """Where the axis must reach at least."""
        return 1.0 if self.whole else 0.1


LAYERS = Axis("layer", "layer (0 = embeddings)", "d", whole=True)
DISTANCE = Axis("distance", "distance of the languages", ".1f", whole=False)


def line_spec(
    points: "pd.DataFrame",
    variants: tuple[str, ...],
    title: str,
    measure: str,
    quantity: str,
    interactive: bool,
    axis: Axis = LAYERS,
    top: float | None = None,
) -> dict[str, object]:
    """Draw a score by layer or distance: trained encoders with intervals, random ones, chance.

    Args:
        points: Points of one pair, data set and form of a probe, from ``scores.average``.
        variants: All variants of the study, which decides their colours.
        title: Printed above the chart in files; a page has its own headings.
        measure: Which measure to show (at first, if interactive).
        quantity: The axis title.
        interactive: True for a page (as wide as its place, with parameters ``hidden``, a
            list of variants, and ``measure``); False for a file.
        axis: What the points are drawn over.
        top: Where the score's axis ends, for panels that are to have the same; each panel its
            own if None.
    """
    import altair as alt

    over = axis.column
    rows = points.sort_values(over, kind="stable")
    rows = rows.assign(series=rows["variant"] + "\n" + rows["encoder"], range=_ranges(rows))
    rows = rows.reset_index(drop=True)
    rows = rows.assign(label=_label_heights(rows, over, top))
    columns = ["variant", "encoder", "series", "measure", over, "value", "low", "high"]
    base = alt.Chart().transform_filter(alt.datum.encoder != CHANCE)
    y_scale = alt.Scale(zero=True, nice=True)
    if top is not None:
        y_scale = alt.Scale(domain=[min(0.0, float(rows["value"].min())), top], nice=True)
    y = alt.Y("value:Q", title=None if interactive else quantity, scale=y_scale)
    base = base.encode(
        x=alt.X(
            f"{over}:Q",
            title=axis.title,
            scale=alt.Scale(
                domain=[0, max(float(rows[over].max()), axis.greatest)], nice=False, padding=12
            ),
            axis=alt.Axis(format=axis.format, tickMinStep=1 if axis.whole else 0.1, grid=False),
        ),
        color=colour(variants, interactive),
    )
    many = rows["variant"].nunique() > MANY
    band = base.transform_filter(
        f"datum.encoder != '{UNTRAINED}' && isValid(datum.low) && isValid(datum.high)"
    ).mark_area()
    dashes = {TRAINED: [1, 0], UNTRAINED: [6, 4]}
    if rows["encoder"].eq(UNMAPPED).any():
        dashes[UNMAPPED] = [2, 2]
    dash = alt.StrokeDash(
        "encoder:N",
        scale=alt.Scale(domain=list(dashes), range=list(dashes.values())),
        legend=None
        if interactive
        else alt.Legend(title="encoder", symbolType="stroke", symbolSize=400),
    )
    tooltip = [
        alt.Tooltip("variant:N"),
        alt.Tooltip("encoder:N"),
        *([] if axis.whole else [alt.Tooltip("pair:N")]),
        alt.Tooltip(f"{over}:Q", format="d" if axis.whole else ".2f"),
        alt.Tooltip("value:Q", format=".3f", title=quantity),
        alt.Tooltip("range:N"),
        alt.Tooltip("detail:N", title="by direction"),
        alt.Tooltip("seeds:Q", format="d"),
    ]
    layers: list[alt.Chart] = []
    if rows["encoder"].eq(CHANCE).any():
        floor = alt.Chart().transform_filter(alt.datum.encoder == CHANCE)
        rule = floor.mark_rule(
            strokeDash=[1, 4], strokeWidth=1.5, color="currentColor", opacity=0.75
        )
        layers.append(rule.encode(y=alt.Y("mean(value):Q", scale=y_scale)))
    if rows.loc[rows["encoder"].ne(UNTRAINED), "low"].notna().any():
        low = alt.Y("low:Q", scale=y_scale)
        fading = opacity(0.16, 0 if many else 0.16, interactive)
        layers.append(
            band.encode(y=low, y2=alt.Y2("high:Q"), detail=alt.Detail("series:N"), opacity=fading)
        )
    line = base.mark_line(strokeWidth=2).encode(y=y, detail=alt.Detail("series:N"), strokeDash=dash)
    layers.append(line.encode(opacity=_line_opacity(many, interactive)))
    if many:
        layers.append(_end_labels(base, y_scale, interactive))
    layers += marks(base.encode(y=y, tooltip=tooltip), variants, interactive)
    more = [name for name in ("pair",) if not axis.whole]
    data = rows[[*columns, *more, "label", "range", "detail", "seeds"]]
    return finished(layers, data, title, interactive, measure)


def _line_opacity(many: bool, interactive: bool) -> object:
    """Return the opacity of lines: untrained encoders are paler where there are many variants."""
    import altair as alt

    plain = f"datum.encoder == '{UNTRAINED}' ? 0.3 : 1" if many else "1"
    if not interactive:
        return alt.OpacityValue({"expr": plain})
    return alt.OpacityValue(
        {"expr": f"focus == '' ? {plain} : focus == datum.variant ? 1 : min(0.12, {plain})"}
    )


def _end_labels(base: "alt.Chart", scale: "alt.Scale", interactive: bool) -> "alt.Chart":
    """Write a variant's name where its line ends, at the height that `_label_heights` gives."""
    import altair as alt

    text = base.transform_filter("isValid(datum.label)").mark_text(align="left", dx=8, fontSize=10)
    labelled: alt.Chart = text.encode(
        y=alt.Y("label:Q", scale=scale),
        text=alt.Text("variant:N"),
        opacity=opacity(1, 1, interactive),
    )
    return labelled


def _label_heights(rows: "pd.DataFrame", over: str, top: float | None = None) -> "pd.Series[float]":
    """Return where the name of each trained line's last point goes; missing for other points.

    Names keep the order of the lines' ends and are moved up until none overlaps another.
    """
    gap = (top or rows["value"].max()) * _LABEL_GAP / HEIGHT
    heights: dict[object, float] = {}
    trained = rows[~rows["encoder"].isin([UNTRAINED, CHANCE])]
    for _, of_measure in trained.groupby("measure"):
        # One name a variant, at the end of its first kind of line.
        first = of_measure.drop_duplicates("variant")["series"]
        lines = of_measure[of_measure["series"].isin(first)].groupby("variant")[over]
        ends = of_measure.loc[lines.idxmax()].sort_values("value")
        floor = -math.inf
        for place, value in ends["value"].items():
            floor = max(float(value), floor + gap)
            heights[place] = floor
    return rows.index.to_series().map(heights)


def _ranges(points: "pd.DataFrame") -> list[str]:
    columns = points["encoder"], points["low"], points["high"]
    texts = []
    for encoder, low, high in zip(*columns, strict=True):
        kind = "untrained encoders" if encoder == UNTRAINED else "95\u00a0% interval"
        texts.append(f"{low:.3f} to {high:.3f} ({kind})" if low == low else "not given")
    return texts
