"""Single charts as Vega-Lite specifications, made and validated by Altair.

Text and axes are drawn in ``currentColor``, so a page's light, dark and print styles reach
them. The marks' colours are those of Okabe and Ito (2008, "Color universal design"),
readable with every kind of colour vision and on light and dark ground; a shape says the
same a second time.
"""

import math
from typing import TYPE_CHECKING, Any

from xling.report.scores import CHANCE, RANDOM, TRAINED, UNMAPPED

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "currentColor")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
MANY = len(SHAPES)  # more variants than this cannot be told apart by looks alone
INK = "#1a1a1a"
_HEIGHT = 220
_EXPORT_WIDTH = 300
_LABEL_GAP = 15  # pixels between names at the ends of lines; the axis may round up, so ample


def swatch(variants: tuple[str, ...], variant: str) -> tuple[str, str]:
    """Return the colour and shape that stand for a variant in every figure."""
    place = variants.index(variant)
    return COLOURS[place % len(COLOURS)], SHAPES[place % len(SHAPES)]


def layer_spec(
    points: "pd.DataFrame",
    variants: tuple[str, ...],
    title: str,
    measure: str,
    quantity: str,
    interactive: bool,
) -> dict[str, Any]:
    """Draw a score by layer: trained encoders with intervals, random encoders, chance.

    Args:
        points: Points of one pair, data set and form of a probe, from ``scores.average``.
        variants: All variants of the study, which decides their colours.
        title: Printed above the chart in files; a page has its own headings.
        measure: Which measure to show (at first, if interactive).
        quantity: The axis title.
        interactive: True for a page (as wide as its place, with parameters ``hidden``, a
            list of variants, and ``measure``); False for a file.
    """
    import altair as alt

    rows = points.sort_values("layer", kind="stable")
    rows = rows.assign(series=rows["variant"] + "\n" + rows["encoder"], range=_ranges(rows))
    rows = rows.reset_index(drop=True)
    rows = rows.assign(label=_label_heights(rows))
    columns = ["variant", "encoder", "series", "measure", "layer", "value", "low", "high"]
    base = alt.Chart().transform_filter(alt.datum.encoder != CHANCE)
    y_scale = alt.Scale(zero=True, nice=True)
    y = alt.Y("value:Q", title=None if interactive else quantity, scale=y_scale)
    base = base.encode(
        x=alt.X(
            "layer:Q",
            title="layer (0 = embeddings)",
            scale=alt.Scale(domain=[0, max(int(rows["layer"].max()), 1)], nice=False, padding=12),
            axis=alt.Axis(format="d", tickMinStep=1, grid=False),
        ),
        color=_colour(variants, interactive),
    )
    many = len(variants) > MANY
    band = base.transform_filter(
        f"datum.encoder == '{TRAINED}' && isValid(datum.low) && isValid(datum.high)"
    ).mark_area()
    dashes = {TRAINED: [1, 0], RANDOM: [6, 4]}
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
        alt.Tooltip("layer:Q", format="d"),
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
    if rows.loc[rows["encoder"].eq(TRAINED), "low"].notna().any():
        low = alt.Y("low:Q", scale=y_scale)
        opacity = _opacity(0.16, 0 if many else 0.16, interactive)
        layers.append(band.encode(y=low, y2="high:Q", detail="series:N", opacity=opacity))
    line = base.mark_line(strokeWidth=2).encode(y=y, detail="series:N", strokeDash=dash)
    layers.append(line.encode(opacity=_line_opacity(many, interactive)))
    if many:
        layers.append(_end_labels(base, y_scale, interactive))
    layers += _points(base.encode(y=y, tooltip=tooltip), variants, interactive)
    data = rows[[*columns, "label", "range", "detail", "seeds"]]
    return finished(layers, data, title, interactive, measure)


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
        color=_colour(variants, interactive),
        tooltip=[
            alt.Tooltip("variant:N"),
            alt.Tooltip("seed:Q", format="d"),
            alt.Tooltip("step:Q", format=",d"),
            alt.Tooltip("value:Q", format=",.1f" if perplexity else ".3f", title=quantity),
        ],
    )
    line = base.mark_line(strokeWidth=1.8).encode(detail="series:N")
    line = line.encode(opacity=_opacity(1, 1, interactive))
    points = _points(base, variants, interactive, visible=perplexity)
    data = curves[["variant", "seed", "series", "step", "value"]]
    return finished([line, *points], data, title, interactive)


def chart_config() -> dict[str, Any]:
    """Return the look all charts share, as a Vega-Lite ``config``."""
    return {
        "background": None,
        "font": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif",
        "view": {"stroke": None},
        "axis": {
            "labelColor": "currentColor",
            "titleColor": "currentColor",
            "domainColor": "currentColor",
            "tickColor": "currentColor",
            "gridColor": "currentColor",
            "gridOpacity": 0.13,
            "domainOpacity": 0.5,
            "tickOpacity": 0.5,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "labelOverlap": "greedy",
            "labelSeparation": 6,
        },
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6, "tickCount": 5},
        "legend": {"labelColor": "currentColor", "titleColor": "currentColor"},
        "title": {"color": "currentColor", "anchor": "start", "fontWeight": 600},
    }


def joined_svg(rows: list[list[dict[str, Any]]]) -> str:
    """Draw rows of specifications made for files as one SVG in dark ink, for paper."""
    import vl_convert

    spec = {"vconcat": [{"hconcat": row} for row in rows], "config": chart_config()}
    return str(vl_convert.vegalite_to_svg(_in_ink(spec)))


def _points(
    base: "alt.Chart", variants: tuple[str, ...], interactive: bool, visible: bool = True
) -> "list[alt.Chart]":
    """Mark the points of trained encoders; on a page, every point can be hovered or tapped."""
    import altair as alt

    shape = alt.Shape(
        "variant:N",
        scale=alt.Scale(domain=list(variants), range=[swatch(variants, v)[1] for v in variants]),
        legend=None if interactive else alt.Legend(title="variant", symbolOpacity=1),
    )
    point = base.mark_point(filled=True, opacity=1).encode(
        shape=shape,
        size=alt.value({"expr": f"datum.encoder == '{RANDOM}' ? 0 : {36 if visible else 0}"}),
    )
    if not interactive:
        return [point]
    # Not a "nearest" selection: Vega-Lite 6.4 shows texts in its tooltips as "undefined".
    hover = alt.selection_point(name="hover", on="pointerover", clear="pointerout", empty=False)
    target = base.mark_circle(size=350).encode(
        opacity=alt.condition(hover, alt.value(0.25), alt.value(0))
    )
    return [point.encode(tooltip=alt.value(None)), target.add_params(hover)]


def _opacity(focused: float, otherwise: float, interactive: bool) -> Any:
    """Return an opacity that fades a variant while another is pointed at.

    Args:
        focused: Of the variant pointed at.
        otherwise: Of all while none is.
        interactive: False for a file, where none ever is.
    """
    import altair as alt

    if not interactive:
        return alt.value(otherwise)
    of_others = min(otherwise, 0.12)
    choice = f"focus == '' ? {otherwise} : focus == datum.variant ? {focused} : {of_others}"
    return alt.value({"expr": choice})


def _line_opacity(many: bool, interactive: bool) -> Any:
    """Return the opacity of lines: random encoders step back where there are many."""
    import altair as alt

    plain = f"datum.encoder == '{RANDOM}' ? 0.3 : 1" if many else "1"
    if not interactive:
        return alt.value({"expr": plain})
    return alt.value(
        {"expr": f"focus == '' ? {plain} : focus == datum.variant ? 1 : min(0.12, {plain})"}
    )


def _end_labels(base: "alt.Chart", scale: "alt.Scale", interactive: bool) -> "alt.Chart":
    """Write a variant's name where its line ends, at the height that `_label_heights` gives."""
    import altair as alt

    text = base.transform_filter("isValid(datum.label)").mark_text(align="left", dx=8, fontSize=10)
    return text.encode(
        y=alt.Y("label:Q", scale=scale),
        text="variant:N",
        opacity=_opacity(1, 1, interactive),
    )


def _label_heights(rows: "pd.DataFrame") -> "pd.Series[float]":
    """Return where the name of each trained line's last point goes; missing for other points.

    Names keep the order of the lines' ends and are moved up until none overlaps another.
    """
    gap = rows["value"].max() * _LABEL_GAP / _HEIGHT
    heights: dict[Any, float] = {}
    trained = rows[rows["encoder"].eq(TRAINED)]
    for _, of_measure in trained.groupby("measure"):
        ends = of_measure[of_measure["layer"].eq(of_measure["layer"].max())].sort_values("value")
        floor = -math.inf
        for place, value in ends["value"].items():
            floor = max(float(value), floor + gap)
            heights[place] = floor
    return rows.index.to_series().map(heights)


def _colour(variants: tuple[str, ...], interactive: bool) -> "alt.Color":
    import altair as alt

    colours = [swatch(variants, variant)[0] for variant in variants]
    return alt.Color(
        "variant:N",
        scale=alt.Scale(domain=list(variants), range=colours),
        legend=None if interactive else alt.Legend(title="variant", symbolOpacity=1),
    )


def finished(
    layers: "list[alt.Chart]",
    data: "pd.DataFrame",
    title: str,
    interactive: bool,
    measure: str | None = None,
    height: int = _HEIGHT,
) -> dict[str, Any]:
    """Lay charts over each other and validate them; on a page, parameters pick what shows.

    The data are put in after validation: Altair would copy them many times over.
    """
    import altair as alt

    chart = alt.LayerChart(layer=layers, data=alt.NamedData(name="data"))
    if interactive:
        chart = chart.add_params(
            alt.param(name="hidden", value=[]), alt.param(name="focus", value="")
        )
        chart = chart.transform_filter("indexof(hidden, datum.variant) < 0")
        if measure is not None:
            chart = chart.add_params(alt.param(name="measure", value=measure))
            chart = chart.transform_filter("datum.measure == measure")
        fit = alt.AutoSizeParams(type="fit-x", contains="padding")
        chart = chart.properties(width="container", height=height, autosize=fit)
    else:
        if measure is not None:
            chart = chart.transform_filter(alt.datum.measure == measure)
        chart = chart.properties(width=_EXPORT_WIDTH, height=height, title=title)
    spec = dict(chart.to_dict())
    for unwanted in ("config", "$schema"):  # Altair's own look; the page gives one for all
        spec.pop(unwanted, None)
    return {**spec, "data": {"values": _records(data)}}


def _in_ink(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_ink(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_ink(item) for item in value]
    return INK if value == "currentColor" else value


def _round_values(curves: "pd.DataFrame") -> list[float]:
    """Return the 1, 2 and 5 of every power of ten within the data, for a logarithmic axis."""
    least, greatest = curves["value"].min(), curves["value"].max()
    powers = range(math.floor(math.log10(least)), math.ceil(math.log10(greatest)) + 1)
    values = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [value for value in values if least <= value <= greatest]


def logarithmic_steps(steps: "pd.Series[int]") -> list[int]:
    """Return the powers of ten within the steps, for a logarithmic axis; the ends if none."""
    least, greatest = int(steps.min()), int(steps.max())
    powers = [10**power for power in range(12) if least <= 10**power <= greatest]
    return powers if len(powers) > 1 else sorted({least, *powers, greatest})


def _ranges(points: "pd.DataFrame") -> list[str]:
    columns = points["encoder"], points["low"], points["high"]
    texts = []
    for encoder, low, high in zip(*columns, strict=True):
        kind = "95\u00a0% interval" if encoder == TRAINED else "random encoders"
        texts.append(f"{low:.3f} to {high:.3f} ({kind})" if low == low else "not given")
    return texts


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        {str(key): round(x, 5) if isinstance(x, float) else x for key, x in row.items()}
        for row in plain.to_dict("records")
    ]
