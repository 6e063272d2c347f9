"""The report's figures: which charts stand together, with headings, captions and words.

A figure is a grid of panels about one question and one pair of languages. Each panel is a
chart of its own, so that it can take the width of its place on any screen; for files, the
panels are joined into one drawing.
"""

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from xling.report.charts import joined_svg
from xling.report.emergence import (
    Curves,
    curves,
    describe,
    emergence_points,
    emergence_spec,
    layer_colours,
    rise_table,
)
from xling.report.learning_curves import DEV_PERPLEXITY, TRAINING_LOSS, curve_spec, learning_curves
from xling.report.line_chart import line_spec
from xling.report.load import Study, comparisons
from xling.report.scores import (
    ALL_TOKENS,
    ANCHOR_FREE,
    CENTRED,
    CKA,
    PLAIN,
    RETRIEVAL,
)
from xling.report.tables import Table
from xling.results import CHANCE, TRAINED, UNTRAINED

if TYPE_CHECKING:
    import pandas as pd

QUANTITIES = {RETRIEVAL: "precision@1", CKA: "linear CKA"}
_TITLES = {RETRIEVAL: "Sentence retrieval by layer", CKA: "Similarity (CKA) by layer"}
_CAPTIONS = {
    RETRIEVAL: (
        "Precision@1: how often a sentence's nearest neighbour in the other language is its "
        "translation; mean of both directions and all seeds."
    ),
    CKA: (
        "Linear CKA between the two languages' vectors of the same sentences: 1 if they are equal "
        "up to rotation and scale; mean of all seeds."
    ),
}
_CURVE_CAPTION = (
    "Loss on training batches and perplexity on held-out lines, one line per variant and seed. "
    "Perplexity is counted a token: compare it only between variants that split text into the "
    "same tokens. Its axis is logarithmic."
)


@dataclass(frozen=True)
class Panel:
    """One chart of a figure.

    Attributes:
        title: What it shows, e.g. ``"pud, anchor-free"``.
        description: The same in sentences with the numbers, for those who cannot see it.
        spec: The Vega-Lite specification for a page.
        drawing: The same at a fixed width with legend and title, for files.
        variant: The one variant it shows; empty if it shows several.
        pair: The one pair of languages it shows, if its figure shows several.
    """

    title: str
    description: str
    spec: dict[str, Any]
    drawing: dict[str, Any]
    variant: str = ""
    pair: str = ""


@dataclass(frozen=True)
class Figure:
    """Panels about one question and one pair of languages.

    Attributes:
        name: Unique in a report and fit for a file name and an HTML id.
        pair: The pair of languages.
        title: The heading.
        caption: How to read it.
        columns: How many panels stand in a row.
        panels: The panels, row by row.
        has_centred: Whether the panels also hold the measure on centred vectors.
        layers: Layers and their colours, if lines are layers.
        table: Its numbers in short, if they have no other place.
        paper: What the paper found; empty if it has no such figure.
        seen: What is seen here, beside it.
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
    seen: str = ""

    def svg(self) -> str:
        """Draw the figure as one SVG file for paper."""
        drawings = [panel.drawing for panel in self.panels]
        starts = range(0, len(drawings), self.columns)
        return joined_svg([drawings[start : start + self.columns] for start in starts])


def all_figures(study: Study, points: "pd.DataFrame") -> tuple[Figure, ...]:
    """Make every figure the study has numbers for, pair by pair.

    Args:
        study: The study.
        points: Its curves, from ``scores.average``.
    """
    figures = []
    by_step = emergence_points(study.emergence)
    variants = study.variants
    numbers = {pair: number for number, pair in enumerate(study.comparisons, start=1)}
    for place, model in enumerate(study.pairs, start=1):
        for pair in comparisons(model):
            for family in (RETRIEVAL, CKA):
                chosen = points[points["pair"].eq(pair) & points["family"].eq(family)]
                if chosen["encoder"].ne(CHANCE).any():
                    figures.append(_layer_figure(chosen, variants, pair, family, numbers[pair]))
            name = _name("emergence", pair, numbers[pair])
            for part, shown in enumerate(curves(by_step, pair), start=1):
                figures.append(_emergence_figure(shown, variants, f"{name}-{part}"))
        training = learning_curves(study.runs, model)
        if not training.empty:
            figures.append(_curve_figure(training, variants, model, place))
    return tuple(figures)


def _emergence_figure(shown: Curves, variants: tuple[str, ...], name: str) -> Figure:
    quantity = QUANTITIES[shown.family]
    what = "Sentence retrieval" if shown.family == RETRIEVAL else "Similarity (CKA)"
    there = [variant for variant in variants if shown.points["variant"].eq(variant).any()]
    panels = []
    for variant in there:
        points = shown.points[shown.points["variant"].eq(variant)]
        description = f"{quantity} by step on {shown.dataset}, {shown.tokens}: " + describe(
            variant, points
        )
        page, drawing = (
            emergence_spec(points, shown, variant, quantity, interactive)
            for interactive in (True, False)
        )
        spec = {**page, "description": description}
        panels.append(Panel(variant, description, spec, drawing, variant))
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
        f"{quantity[0].upper()}{quantity[1:]} of weights kept on the way, mean of all seeds, "
        f"{form if shown.tokens == ANCHOR_FREE else 'over all tokens'}{centred}",
        "One panel per variant, one line per layer; the axis of steps is logarithmic, and all "
        "panels have the same axes",
        "It is measured on fewer lines than the figures by layer, so it is coarser and, for "
        "retrieval, higher than there",
    ]
    if shown.chance is not None:
        sentences.append("Dotted line: chance")
    return ". ".join(sentences) + "."


def _layer_figure(
    points: "pd.DataFrame", variants: tuple[str, ...], pair: str, family: str, number: int
) -> Figure:
    datasets = list(dict.fromkeys(points["dataset"]))
    panels = []
    for tokens, dataset in product((ALL_TOKENS, ANCHOR_FREE), datasets):
        chosen = points[points["tokens"].eq(tokens) & points["dataset"].eq(dataset)]
        if chosen["encoder"].ne(CHANCE).any():
            panels.append(_layer_panel(chosen, variants, f"{dataset}, {tokens}", family))
    return Figure(
        name=_name(family, pair, number),
        pair=pair,
        title=f"{_TITLES[family]}: {pair}",
        caption=f"{_CAPTIONS[family]} {_line_key(points)}",
        columns=len(datasets),
        panels=tuple(panels),
        has_centred={PLAIN, CENTRED} <= set(points["measure"]),
    )


def _line_key(points: "pd.DataFrame") -> str:
    """Say what the lines mean that are there."""
    trained = points["encoder"].eq(TRAINED)
    key = ["Solid line: the trained encoder"]
    if points.loc[trained, "low"].notna().any():
        key[0] += ", the band its 95\u00a0% interval"
    if points["encoder"].eq(UNTRAINED).any():
        key.append("Dashed line: an untrained encoder of the same shape")
    if points["encoder"].eq(CHANCE).any():
        key.append("Dotted line: chance")
    if points["tokens"].eq(ANCHOR_FREE).any():
        key.append("Anchor-free panels leave out the tokens that the two languages share")
    return ". ".join([*key, "Every panel has its own vertical scale."])


def _layer_panel(
    points: "pd.DataFrame", variants: tuple[str, ...], title: str, family: str
) -> Panel:
    measure = PLAIN if points["measure"].eq(PLAIN).any() else str(points["measure"].iloc[0])
    sentences = [f"{QUANTITIES[family]} by layer on {title}."]
    shown = points[points["measure"].eq(measure) & points["encoder"].ne(CHANCE)]
    for (variant, encoder), curve in shown.groupby(["variant", "encoder"], sort=False):
        ordered = curve.sort_values("layer")
        values = ", ".join(f"{value:.3f}" for value in ordered["value"])
        layers = f"{ordered['layer'].iloc[0]} to {ordered['layer'].iloc[-1]}"
        sentences.append(f"{variant}, {encoder} encoder, layers {layers}: {values}.")
    description = " ".join(sentences)
    page, drawing = (
        line_spec(points, variants, title, measure, QUANTITIES[family], interactive)
        for interactive in (True, False)
    )
    return Panel(title, description, {**page, "description": description}, drawing)


def _curve_figure(
    curves: "pd.DataFrame", variants: tuple[str, ...], pair: str, number: int
) -> Figure:
    languages = list(dict.fromkeys(curves["language"]))
    panels = []
    for kind, language in product((TRAINING_LOSS, DEV_PERPLEXITY), languages):
        chosen = curves[curves["kind"].eq(kind) & curves["language"].eq(language)]
        if not chosen.empty:
            panels.append(_curve_panel(chosen, variants, language, kind))
    return Figure(
        name=_name("training", pair, number),
        pair=pair,
        title=f"Learning curves: {pair}",
        caption=_CURVE_CAPTION,
        columns=len(languages),
        panels=tuple(panels),
    )


def _curve_panel(
    curves: "pd.DataFrame", variants: tuple[str, ...], language: str, kind: str
) -> Panel:
    title = f"{language}, {kind}"
    sentences = [f"{title} by step."]
    for (variant, seed), curve in curves.groupby(["variant", "seed"], sort=False):
        (start, first), (end, last) = curve[["step", "value"]].iloc[[0, -1]].to_numpy()
        sentences.append(
            f"{variant}, seed {seed}: {first:.2f} at step {start:.0f}, "
            f"{last:.2f} at step {end:.0f}."
        )
    description = " ".join(sentences)
    page, drawing = (
        curve_spec(curves, variants, title, kind, interactive) for interactive in (True, False)
    )
    return Panel(title, description, {**page, "description": description}, drawing)


def _name(kind: str, pair: str, number: int) -> str:
    """Name a figure; the pair's number stands for a name unfit for a file."""
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in pair)
    return f"{kind}-{pair}" if safe == pair else f"{kind}-pair-{number}"
