"""Figures made of charts: Vega-Lite specifications, made by Altair.

A figure is a grid of panels about one question. Each panel is a chart of its own, so that it can
take the width of its place on any screen; for files, the panels are joined into one drawing.

Text and axes are drawn in ``currentColor``, so a page's light, dark and print styles reach
them. The marks' colours are those of Okabe and Ito (2008, "Color universal design"),
readable with every kind of colour vision and on light and dark ground; shapes repeat what
colours say.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling.report.tables import Table
from xling.results import CHANCE, UNTRAINED

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "currentColor")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
MANY = len(SHAPES)  # more variants than this cannot be told apart by looks alone
HEIGHT = 220
_EXPORT_WIDTH = 300
INK = "#1a1a1a"


@dataclass(frozen=True)
class Panel:
    """One chart of a figure.

    Attributes:
        title: What it shows, e.g. ``"pud, anchor-free"``.
        description: The same in sentences, with the numbers, for readers who cannot see it.
        spec: The Vega-Lite specification for a page.
        drawing: The same at a fixed width with legend and title, for files.
        variant: The one variant it shows; empty if it shows several.
        pair: The one pair of languages it shows, if its figure shows several.
    """

    title: str
    description: str
    spec: dict[str, object]
    drawing: dict[str, object]
    variant: str = ""
    pair: str = ""

    @classmethod
    def of(
        cls, title: str, description: str, spec: Callable[[bool], dict[str, object]], **of: str
    ) -> "Panel":
        """Make a panel.

        Args:
            title: What it shows.
            description: The same in words.
            spec: Makes the specification, for a page if it gets True, else for a file.
            of: The one variant or pair that it shows.
        """
        from altair.utils.schemapi import debug_mode

        with debug_mode(False):  # slower than all else; the tests validate every kind of chart
            page, file = spec(True), spec(False)
        return cls(title, description, page | {"description": description}, file, **of)


@dataclass(frozen=True)
class Figure:
    """Panels about one question.

    Attributes:
        name: Unique in a report and fit for a file name and an HTML id.
        pair: The one pair of languages it shows; empty if it shows several.
        title: The heading.
        caption: How to read it.
        columns: How many panels stand in a row.
        panels: The panels, row by row.
        has_centred: Whether the panels also hold the measure on centred vectors.
        layers: Layers and their colours, if lines are layers.
        table: Its numbers in short, if they have no other place.
        paper: What the paper found; empty if it has no such figure.
    """

    name: str
    pair: str
    title: str
    caption: str
    columns: int
    panels: tuple[Panel, ...]
    has_centred: bool = False
    layers: tuple[tuple[int, str], ...] = ()
    table: Table | None = None
    paper: str = ""

    def svg(self) -> str:
        """Draw the figure as one SVG file for paper."""
        drawings = [panel.drawing for panel in self.panels]
        starts = range(0, len(drawings), self.columns)
        return joined_svg([drawings[start : start + self.columns] for start in starts])


def described(
    points: "pd.DataFrame", over: str, what: str, lines: Sequence[str] = ("variant", "encoder")
) -> str:
    """Return the numbers of a chart in words, chance aside.

    Args:
        points: Its points.
        over: The column of its horizontal axis.
        what: What is drawn.
        lines: Columns that tell its lines apart.
    """
    if "encoder" in points:
        points = points[points["encoder"].ne(CHANCE)]
    sentences = [f"{what}."]
    groups: Any = points.sort_values(over, kind="stable").groupby(list(lines), sort=False)
    for names, line in groups:
        values = ", ".join(f"{value:.3f}" for value in line["value"])
        sentences.append(f"{', '.join(map(str, names))}: {values}.")
    return " ".join(sentences)


def swatch(variants: tuple[str, ...], variant: str) -> tuple[str, str]:
    """Return the colour and shape that stand for a variant in every figure."""
    place = variants.index(variant)
    return COLOURS[place % len(COLOURS)], SHAPES[place % len(SHAPES)]


def marks(
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
        size=alt.SizeValue(
            {"expr": f"datum.encoder == '{UNTRAINED}' ? 0 : {36 if visible else 0}"}
        ),
    )
    if not interactive:
        return [point]
    # Not a "nearest" selection: Vega-Lite 6.4 shows texts in its tooltips as "undefined".
    hover = alt.selection_point(name="hover", on="pointerover", clear="pointerout", empty=False)
    target = base.mark_circle(size=350).encode(
        opacity=alt.OpacityValue(0, condition={"param": "hover", "empty": False, "value": 0.25})
    )
    return [point.encode(tooltip=alt.TooltipValue(None)), target.add_params(hover)]


def opacity(focused: float, otherwise: float, interactive: bool) -> object:
    """Return an opacity that fades a variant while another is pointed at.

    Args:
        focused: Opacity of the variant pointed at.
        otherwise: Opacity of all while none is.
        interactive: False for a file, where none ever is.
    """
    import altair as alt

    if not interactive:
        return alt.OpacityValue(otherwise)
    of_others = min(otherwise, 0.12)
    choice = f"focus == '' ? {otherwise} : focus == datum.variant ? {focused} : {of_others}"
    return alt.OpacityValue({"expr": choice})


def colour(variants: tuple[str, ...], interactive: bool) -> "alt.Color":
    """Return the encoding of variants by colour, with a legend in files."""
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
    height: int = HEIGHT,
) -> dict[str, object]:
    """Lay charts over each other; on a page, parameters pick what shows."""
    # Put together here: an Altair chart is copied as a whole at every change.
    spec: dict[str, Any] = {"layer": [_unit(layer) for layer in layers]}
    spec |= {"data": {"name": "data"}, "height": height}
    if interactive:
        given = {"hidden": [], "focus": ""} | ({} if measure is None else {"measure": measure})
        spec["params"] = [{"name": name, "value": value} for name, value in given.items()]
        filters = ["indexof(hidden, datum.variant) < 0"]
        filters += [] if measure is None else ["datum.measure == measure"]
        fit = {"type": "fit-x", "contains": "padding"}
        spec |= {"width": "container", "autosize": fit}
    else:
        filters = [] if measure is None else [f"datum.measure == {json.dumps(measure)}"]
        spec |= {"width": _EXPORT_WIDTH, "title": title}
    if filters:
        spec["transform"] = [{"filter": one} for one in filters]
    return spec | {"data": {"values": _records(data)}}


def _unit(layer: "alt.Chart") -> dict[str, Any]:
    """Return a chart as a layer of another, without what only a whole chart has."""
    spec = layer.to_dict(validate=False)
    for param in spec.get("params", ()):  # a chart within another needs no name of a view
        param.pop("views", None)
    return {key: spec[key] for key in ("transform", "params", "mark", "encoding") if key in spec}


def _records(frame: "pd.DataFrame") -> list[dict[str, object]]:
    plain = frame.astype(object).where(frame.notna(), None)
    return [
        {str(key): round(x, 5) if isinstance(x, float) else x for key, x in row.items()}
        for row in plain.to_dict("records")
    ]


def logarithmic_steps(steps: "pd.Series[int]") -> list[int]:
    """Return the powers of ten within the steps, for a logarithmic axis; the ends if none."""
    least, greatest = int(steps.min()), int(steps.max())
    powers = [10**power for power in range(12) if least <= 10**power <= greatest]
    return powers if len(powers) > 1 else sorted({least, *powers, greatest})


def chart_config() -> dict[str, object]:
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


def joined_svg(rows: list[list[dict[str, object]]]) -> str:
    """Draw rows of specifications made for files as one SVG in dark ink, for paper."""
    import vl_convert

    spec = {"vconcat": [{"hconcat": row} for row in rows], "config": chart_config()}
    return str(vl_convert.vegalite_to_svg(_in_ink(spec)))


def as_pdf(svg: str) -> bytes:
    """Turn a drawing into a PDF, which is far faster than drawing it again."""
    import vl_convert

    return bytes(vl_convert.svg_to_pdf(svg))


def _in_ink(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_ink(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_ink(item) for item in value]
    return INK if value == "currentColor" else value
