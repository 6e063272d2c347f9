"""Figures 4 to 8 of the paper: one per question, with a panel per pair of languages."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.report.charts import Figure, Panel, described, finished, swatch
from xling.report.coverage import COVERAGE, Cut, cut_cell, cut_lines
from xling.report.geometry import (
    CUT,
    KINDS,
    MAPPED,
    PROBES,
    Kind,
    correlated_points,
    correlation,
    curve_points,
    geometry_variants,
    independent_variants,
    shown,
)
from xling.report.line_chart import line_spec
from xling.report.load import Study
from xling.report.tables import ABSENT, Cell, Table, figure
from xling.results import CHANCE, STATIC, TRAINED, UNMAPPED, UNTRAINED, of_targets

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = 3
_NOTHING = (
    "Figures 4 to 8: this study has no scores of aligned or compared models (geometry in its "
    "configuration asks for them)."
)


@dataclass(frozen=True)
class Geometry:
    """The part of the page on aligned and compared models.

    Attributes:
        figures: Figures with scores, in the paper's order.
        embedding: Fig. 4a; None without scores.
        missing: Which figures or curves are not there, and what they lack.
    """

    figures: tuple[Figure, ...]
    embedding: Table | None
    missing: tuple[str, ...]


def geometry(study: Study) -> Geometry:
    """Make every figure there are scores for, and say what is missing."""
    if not study.results["probe"].isin(PROBES).any():
        return Geometry((), None, (_NOTHING,))
    independent, variants = independent_variants(study), geometry_variants(study)
    cut = cut_lines(study.results)
    figures, missing = [], []
    embedding = embedding_table(study.results)
    if embedding is None:
        missing.append("Fig. 4a: no scores of lexicon-embedding.")
    for kind in KINDS:
        points = _in_order(curve_points(study.results, kind), study.pairs)
        chosen = shown(points, kind, independent)
        if chosen["encoder"].isin([TRAINED, UNMAPPED]).any():
            figures.append(_figure(chosen, study, kind, cut))
            missing += [
                f"{kind.number}: {what}" for what in _gaps(chosen, kind, study, independent)
            ]
        else:
            missing.append(f"{kind.number}: no scores of {kind.probe}{_whom(kind)}.")
    scatter = correlated_points(study.results)
    if len(scatter):
        figures.append(_scatter(scatter, study.variants))
    else:
        missing.append("CKA against retrieval: no layer has scores of both.")
    if not variants:
        missing = [_NOTHING]
    return Geometry(tuple(figures), embedding, tuple(missing))


def _in_order(points: "pd.DataFrame", pairs: tuple[str, ...]) -> "pd.DataFrame":
    """Sort points by pair, in the study's order."""
    places = {pair: place for place, pair in enumerate(pairs)}
    return points.sort_values(
        "pair", key=lambda names: names.map(places), kind="stable", ignore_index=True
    )


def _whom(kind: Kind) -> str:
    return {CUT: " to show", MAPPED: " of a bilingual model"}.get(kind.shows, "")


def _gaps(
    points: "pd.DataFrame", kind: Kind, study: Study, independent: tuple[str, ...]
) -> list[str]:
    """Name the curves that a figure lacks: of a variant in a pair, of independent models."""
    curves = points[points["encoder"].isin([TRAINED, UNMAPPED])]
    there = set(zip(curves["variant"], curves["pair"], strict=True))
    names = {variant for variant, _ in there}
    planned = dict.fromkeys((run.variant, run.pair) for run in study.runs)
    sentences = [
        f"no {variant} for {pair}."
        for variant, pair in planned
        if variant in names and (variant, pair) not in there
    ]
    if kind.shows == CUT:
        if not curves["variant"].isin(independent).any():
            sentences.append("no independent models.")
        if curves["variant"].isin(independent).all():
            sentences.append("no bilingual model cut at a layer to compare with.")
    return sentences


def _figure(chosen: "pd.DataFrame", study: Study, kind: Kind, cut: Cut) -> Figure:
    top = float(chosen[["value", "high"]].max().max())
    panels = [
        _panel(part, study.variants, str(pair), str(dataset), kind, top)
        for (pair, dataset), part in chosen.groupby(["pair", "dataset"], sort=False)
        if part["encoder"].ne(CHANCE).any()
    ]
    bands = " Bands: 95\u00a0% intervals." if chosen["low"].notna().any() else ""
    return Figure(
        name=f"geometry-{kind.name}",
        pair="",
        title=f"{kind.number}. {kind.title}",
        caption=f"{kind.caption}{bands} All panels have the same scale.",
        columns=min(len(panels), _COLUMNS),
        panels=tuple(panels),
        table=best_layers(chosen, kind, study.variants, cut),
        paper=kind.paper,
    )


def _panel(
    points: "pd.DataFrame",
    variants: tuple[str, ...],
    pair: str,
    dataset: str,
    kind: Kind,
    top: float,
) -> Panel:
    title, quantity = f"{pair}, {dataset}", kind.quantity
    description = described(points, "layer", f"{quantity} by layer, {title}")
    draw = partial(line_spec, points, variants, title, quantity, quantity, top=top)
    return Panel.of(title, description, draw, pair=pair)


def _scatter(points: "pd.DataFrame", variants: tuple[str, ...]) -> Figure:
    panels = []
    for dataset, chosen in points.groupby("dataset", sort=False):
        title = f"{dataset}: {_correlation(chosen)}"
        description = f"CKA against retrieval after alignment, {title}; {len(chosen)} points."
        panels.append(Panel.of(title, description, partial(scatter_spec, chosen, variants, title)))
    return Figure(
        name="geometry-correlation",
        pair="",
        title="Does similarity tell how well a rotation will align? (5.2)",
        caption="Each point is a layer of one pair of models: linear CKA, and precision@1 after a "
        "rotation learnt from half of the lines and measured on the other half. The 95\u00a0% "
        "interval resamples models, each with all of its layers, which are not independent.",
        columns=min(len(panels), 2),
        panels=tuple(panels),
        paper="CKA and retrieval after alignment correlate, with Pearson's r above 0.9.",
    )


def _correlation(points: "pd.DataFrame") -> str:
    value, low, high = correlation(points)
    if value != value:
        return "too few points for a correlation"
    interval = (
        "no interval from fewer than four models" if low != low else f"{low:.2f} to {high:.2f}"
    )
    return f"r = {value:.2f} ({interval})"


def scatter_spec(
    points: "pd.DataFrame", variants: tuple[str, ...], title: str, interactive: bool
) -> dict[str, object]:
    """Draw retrieval after alignment against CKA.

    Args:
        points: From ``geometry.correlated_points``, of one data set.
        variants: All variants of the study, which decides their colours.
        title: Printed above the chart in files.
        interactive: True for a page (parameter ``hidden``), False for a file.
    """
    import altair as alt

    there = [variant for variant in variants if points["variant"].eq(variant).any()]
    colours, shapes = ([swatch(variants, name)[part] for name in there] for part in (0, 1))
    legend = None if interactive else alt.Legend(title="variant")
    chart = (
        alt.Chart()
        .mark_point(filled=True, size=55, opacity=0.85)
        .encode(
            x=alt.X("cka:Q", title="linear CKA", scale=alt.Scale(zero=False, nice=True)),
            y=alt.Y("retrieval:Q", title="precision@1 after alignment", scale=alt.Scale(zero=True)),
            color=alt.Color(
                "variant:N", scale=alt.Scale(domain=there, range=colours), legend=legend
            ),
            shape=alt.Shape(
                "variant:N", scale=alt.Scale(domain=there, range=shapes), legend=legend
            ),
            tooltip=[
                alt.Tooltip("variant:N"),
                alt.Tooltip("pair:N"),
                alt.Tooltip("seed:Q", format="d"),
                alt.Tooltip("layer:Q", format="d"),
                alt.Tooltip("cka:Q", format=".3f"),
                alt.Tooltip("retrieval:Q", format=".3f"),
            ],
        )
    )
    data = points[["variant", "pair", "seed", "layer", "cka", "retrieval"]]
    return finished([chart], data, title, interactive)


def best_layers(points: "pd.DataFrame", kind: Kind, variants: Sequence[str], cut: Cut) -> Table:
    """Write a row per pair and variant: the highest score, and the others at its layer."""
    rows = []
    groups: Any = points.groupby(["pair", "dataset"], sort=False)
    for (pair, dataset), of_pair in groups:
        for variant in variants:
            here = of_pair[of_pair["variant"].eq(variant)]
            trained = here[here["encoder"].eq(TRAINED)]
            if trained.empty:
                trained = here[here["encoder"].eq(UNMAPPED)]
            if trained.empty:
                continue
            best = trained.loc[trained["value"].idxmax()]
            interval = (
                f"{formatting.score(best['low'])} to {formatting.score(best['high'])}"
                if best["low"] == best["low"]
                else ABSENT
            )
            beside = [
                figure(_at(here, encoder, int(best["layer"])), formatting.score)
                for encoder in (UNMAPPED, UNTRAINED, CHANCE)
            ]
            rows.append(
                (
                    Cell(str(pair)),
                    Cell(str(dataset)),
                    Cell(variant),
                    Cell(str(best["layer"]), "number"),
                    figure(best["value"], formatting.score),
                    Cell(interval, "number"),
                    *beside,
                    figure(best["seeds"], formatting.count),
                    cut_cell(cut([kind.probe, COVERAGE], variant, str(pair), str(dataset))),
                )
            )
    heads = (
        *("layer", kind.quantity, "95\u00a0% interval", UNMAPPED, UNTRAINED, "baseline"),
        *("seeds", "lines cut"),
    )
    return Table(
        f"Best layers: {kind.title} ({kind.number})",
        ("pair", "data", "variant", *heads),
        3,
        tuple(rows),
    )


def _at(points: "pd.DataFrame", encoder: str, layer: int) -> float:
    chosen = points[points["encoder"].eq(encoder)]
    if encoder != CHANCE:
        chosen = chosen[chosen["layer"].eq(layer)]
    return float(chosen["value"].mean())


def embedding_table(results: "pd.DataFrame") -> Table | None:
    """Compare the embedding matrix with static vectors on the same words (Fig. 4a)."""
    rows = results[results["probe"].eq("lexicon-embedding") & of_targets(results)]
    scores = rows[rows["metric"].eq("p@1-csls")]
    if scores.empty:
        return None
    wide = scores.pivot_table("value", ["pair", "variant"], "condition", sort=False)
    covered = results[results["probe"].eq("lexicon-embedding") & results["metric"].eq("coverage")]
    covered = covered[covered["condition"].eq(TRAINED)]
    coverage = covered.groupby(["pair", "variant"])["value"].mean()
    entries: Any = wide.iterrows()
    cells = [
        (
            *map(Cell, key),
            *(figure(row.get(name), formatting.score) for name in (TRAINED, STATIC)),
            figure(coverage.get(key), "{:.0%}"),
        )
        for key, row in entries
    ]
    return Table(
        "Word translation from the embedding matrix (the paper's Fig. 4a): precision@1 by CSLS",
        ("pair", "variant", "embedding matrix", "static vectors, same words", "dictionary covered"),
        2,
        tuple(cells),
        note="Words of a single subword. The paper finds the embedding matrix at or above fastText "
        "on the same words. A dash: too few pairs for a rotation of that width. Covered: the share "
        "of the test dictionary's source words that have a vector and a translation with one.",
    )
