"""Figures of aligned and compared models: one a question, with a panel a pair of languages."""

from typing import TYPE_CHECKING

from xling.errors import XlingError
from xling.report.figures import Figure, Panel
from xling.report.geometry import (
    KINDS,
    Kind,
    best_layers,
    correlated_points,
    curve_points,
)
from xling.report.line_chart import line_spec
from xling.report.load import Study
from xling.report.scatter_chart import scatter_spec
from xling.report.scores import CHANCE

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = 3
_KEY = (
    "Solid line: {solid}; band: its 95\u00a0% interval. Dashed: untrained models{dotted}. Every "
    "panel has its own vertical scale."
)


def geometry_figures(study: Study) -> tuple[Figure, ...]:
    """Make a figure of every kind of score there is, and one of CKA against retrieval."""
    figures = []
    for kind in KINDS:
        points = curve_points(study.results, kind)
        if points["encoder"].ne(CHANCE).any():
            figures.append(_figure(points, study.variants, kind))
    scatter = correlated_points(study.results)
    if len(scatter):
        figures.append(_scatter(scatter, study.variants))
    return tuple(figures)


def _figure(points: "pd.DataFrame", variants: tuple[str, ...], kind: Kind) -> Figure:
    panels = []
    for (pair, dataset), chosen in points.groupby(["pair", "dataset"], sort=False):
        if chosen["encoder"].ne(CHANCE).any():
            panels.append(_panel(chosen, variants, f"{pair}, {dataset}", kind))
    through = kind.probe.startswith("context-")
    key = _KEY.format(
        solid="through the map" if through else "the trained models",
        dotted=", also through a map. Short dashes: without a map" if through else "",
    )
    return Figure(
        name=f"geometry-{kind.name}",
        pair="",
        title=kind.title,
        caption=f"{kind.caption} {key}",
        columns=min(len(panels), _COLUMNS),
        panels=tuple(panels),
        table=best_layers(points, kind, variants),
    )


def _panel(points: "pd.DataFrame", variants: tuple[str, ...], title: str, kind: Kind) -> Panel:
    sentences = [f"{kind.quantity} by layer, {title}."]
    for (variant, encoder), curve in points.groupby(["variant", "encoder"], sort=False):
        values = ", ".join(f"{value:.3f}" for value in curve.sort_values("layer")["value"])
        sentences.append(f"{variant}, {encoder}: {values}.")
    description = " ".join(sentences)
    page, drawing = (
        line_spec(points, variants, title, kind.quantity, kind.quantity, interactive)
        for interactive in (True, False)
    )
    return Panel(title, description, {**page, "description": description}, drawing)


def _scatter(points: "pd.DataFrame", variants: tuple[str, ...]) -> Figure:
    panels = []
    for dataset, chosen in points.groupby("dataset", sort=False):
        said = _correlation(chosen)
        title = f"{dataset}: {said}"
        page, drawing = (
            scatter_spec(chosen, variants, title, interactive) for interactive in (True, False)
        )
        description = f"CKA against retrieval after alignment, {title}; {len(chosen)} points."
        panels.append(Panel(title, description, {**page, "description": description}, drawing))
    return Figure(
        name="geometry-correlation",
        pair="",
        title="Does similarity tell how well a rotation will align? (5.2)",
        caption="Each point is a layer of one pair of models: linear CKA, and precision@1 after a "
        "rotation learnt from half of the lines and measured on the other half. The paper finds "
        "Pearson correlations above 0.9. The interval draws points anew; layers of one model are "
        "not independent, so it is if anything too narrow.",
        columns=min(len(panels), 2),
        panels=tuple(panels),
    )


def _correlation(points: "pd.DataFrame") -> str:
    from xling.similarity.comparison import correlation

    try:
        value, low, high = correlation(points["cka"], points["retrieval"])
    except XlingError:
        return "too few points for a correlation"
    return f"r = {value:.2f} ({low:.2f} to {high:.2f})"
