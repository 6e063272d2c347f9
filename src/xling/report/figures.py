"""The figures of scores by layer, by training step, and of training itself."""

from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from xling.report.bars import FEWEST, bar_figure, bars, dose_figure, doses
from xling.report.charts import Figure, Panel, described
from xling.report.emergence import curves, emergence_figure, emergence_points, seed_points
from xling.report.learning_curves import learning_curve_figure, learning_curves
from xling.report.line_chart import line_spec
from xling.report.load import Study, comparisons
from xling.report.scores import (
    ALL_TOKENS,
    ANCHOR_FREE,
    CENTRED,
    CKA,
    PLAIN,
    QUANTITIES,
    RETRIEVAL,
)
from xling.results import CHANCE

if TYPE_CHECKING:
    import pandas as pd

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


_LINES = (
    "Solid line: the trained encoder, with its 95\u00a0% interval if it has one. Dashed line: an "
    "untrained encoder of the same shape. Dotted line: chance. Anchor-free panels leave out the "
    "tokens that the two languages share. Every panel has its own vertical scale."
)


def all_figures(study: Study, points: "pd.DataFrame") -> tuple[Figure, ...]:
    """Make every figure the study has numbers for, pair by pair.

    Args:
        study: The study.
        points: Its curves, from ``scores.average``.
    """
    figures = []
    by_step, by_step_and_seed = emergence_points(study.emergence), seed_points(study.emergence)
    variants = study.variants
    numbers = {pair: number for number, pair in enumerate(study.comparisons, start=1)}
    for place, model in enumerate(study.pairs, start=1):
        for pair in comparisons(model):
            found = bars(study, points, pair)
            if found["variant"].nunique() >= FEWEST:
                name = _name("bars", pair, numbers[pair])
                figures.append(bar_figure(found, variants, pair, name))
            for family in (RETRIEVAL, CKA):
                chosen = points[points["pair"].eq(pair) & points["family"].eq(family)]
                if chosen["encoder"].ne(CHANCE).any():
                    figures.append(_layer_figure(chosen, variants, pair, family, numbers[pair]))
            name = _name("emergence", pair, numbers[pair])
            dose = doses(study, model)
            for part, shown in enumerate(curves(by_step, by_step_and_seed, pair), start=1):
                figures.append(emergence_figure(shown, variants, f"{name}-{part}"))
                if dose and shown.family == RETRIEVAL:
                    map_ = dose_figure(shown, dose, f"{_name('doses', pair, numbers[pair])}-{part}")
                    figures += [map_] if map_ else []
        training = learning_curves(study.runs, model)
        if not training.empty:
            name = _name("training", model, place)
            figures.append(learning_curve_figure(training, variants, model, name))
    return tuple(figures)


def _layer_figure(
    points: "pd.DataFrame", variants: tuple[str, ...], pair: str, family: str, number: int
) -> Figure:
    datasets = list(dict.fromkeys(points["dataset"]))
    panels = []
    for tokens, dataset in product((ALL_TOKENS, ANCHOR_FREE), datasets):
        chosen = points[points["tokens"].eq(tokens) & points["dataset"].eq(dataset)]
        if chosen["encoder"].ne(CHANCE).any():
            panels.append(
                _layer_panel(chosen, variants, f"{dataset}, {tokens}", QUANTITIES[family])
            )
    return Figure(
        name=_name(family, pair, number),
        pair=pair,
        title=f"{_TITLES[family]}: {pair}",
        caption=f"{_CAPTIONS[family]} {_LINES}",
        columns=len(datasets),
        panels=tuple(panels),
        has_centred={PLAIN, CENTRED} <= set(points["measure"]),
    )


def _layer_panel(
    points: "pd.DataFrame", variants: tuple[str, ...], title: str, quantity: str
) -> Panel:
    measure = PLAIN if points["measure"].eq(PLAIN).any() else str(points["measure"].iloc[0])
    shown = points[points["measure"].eq(measure)]
    description = described(shown, "layer", f"{quantity} by layer on {title}")
    draw = partial(line_spec, points, variants, title, measure, quantity)
    return Panel.of(title, description, draw)


def _name(kind: str, pair: str, number: int) -> str:
    """Name a figure; the pair's number stands for a name unfit for a file."""
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in pair)
    return f"{kind}-{pair}" if safe == pair else f"{kind}-pair-{number}"
