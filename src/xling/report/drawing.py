"""The look all charts share, and charts joined into one drawing for files."""

from typing import Any

INK = "#1a1a1a"


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


def as_pdf(svg: str) -> bytes:
    """Turn a drawing into a PDF, which is far quicker than to draw it again."""
    import vl_convert

    return bytes(vl_convert.svg_to_pdf(svg))


def _in_ink(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_ink(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_in_ink(item) for item in value]
    return INK if value == "currentColor" else value
