"""Scores of aligned and compared models: curves by layer, CKA against retrieval.

Conneau et al. 2020, section 5.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from xling.randomness import generator
from xling.report.load import Study
from xling.report.scores import average
from xling.results import CHANCE, TRAINED, UNMAPPED, UNTRAINED, of_targets, with_intervals

if TYPE_CHECKING:
    import pandas as pd

_RESAMPLES = 1000
_FEWEST = 4  # models: resampling fewer says little about others
_POINT = ["pair", "dataset", "variant", "encoder", "layer"]


@dataclass(frozen=True)
class Kind:
    """One question about models' geometry, and where its scores are.

    Attributes:
        name: Part of a figure's name.
        number: The paper's figure.
        probe: Probe of the rows.
        metric: The score shown.
        quantity: What it is called.
        title: The figure's heading.
        caption: How to read it.
        paper: What the paper found; empty if it says no more than about the figure before.
        shows: Which models: all of them; ``cut`` for independent ones through the map and bilingual
            ones without; ``mapped`` for bilingual ones alone.
        floor: Probe and metric of a baseline that has no layers; none if empty.
    """

    name: str
    number: str
    probe: str
    metric: str
    quantity: str
    title: str
    caption: str
    paper: str = ""
    shows: Literal["all", "cut", "mapped"] = "all"
    floor: tuple[str, str] = ("", "")


ALL: Final = "all"
CUT: Final = "cut"
MAPPED: Final = "mapped"
_CUT_CAPTION = (
    "New layers and a head are trained on the frozen layer of the source language's model and "
    "tested on the target language. For two monolingual models, the target's vectors are mapped "
    "into the source's space by a rotation learnt from aligned words (solid); a bilingual model "
    "needs no map and is cut at that layer (short dashes). Long dashes: untrained models."
)
_MAPPED_CAPTION = (
    "The same with one bilingual model on both sides: its two languages aligned by a "
    "rotation (solid), and as they are (short dashes). Long dashes: untrained models through a "
    "rotation."
)
KINDS = (
    Kind(
        "words",
        "Fig. 4b",
        "lexicon-context",
        "p@1-csls",
        "precision@1",
        "Word translation after alignment, by layer",
        "Averages of every occurrence of a word, aligned by a rotation on a training dictionary: "
        "how often the nearest word by CSLS is a translation in the test dictionary; mean of both "
        "directions. Dotted line: static vectors of the same text, aligned alike.",
        "contextual averages are better the higher the layer.",
        floor=("lexicon-static", "p@1-csls"),
    ),
    Kind(
        "context-ner",
        "Fig. 5, entities",
        "context-ner",
        "f1",
        "F1",
        "Entities learnt on one model, found with another, by layer",
        _CUT_CAPTION,
        "middle layers are best, and independent models are further behind the bilingual one than "
        "in parsing.",
        CUT,
    ),
    Kind(
        "context-parsing",
        "Fig. 5, parsing",
        "context-parsing",
        "las",
        "LAS",
        "Parsing learnt on one model, done with another, by layer",
        _CUT_CAPTION,
        "middle layers are best, and independent models come closer to the bilingual one than for "
        "entities.",
        CUT,
    ),
    Kind(
        "sentences",
        "Fig. 6",
        "alignment-sentences",
        "p@1",
        "precision@1",
        "Sentence retrieval after alignment, by layer",
        "A rotation is learnt from parallel lines and retrieves other parallel lines by cosine; "
        "mean of both directions. Dashed: untrained models, aligned alike.",
        "lower layers are best.",
    ),
    Kind(
        "similarity",
        "Fig. 7",
        "similarity",
        "cka",
        "linear CKA",
        "Similarity of two models, by layer",
        "Linear CKA of the same sentences' vectors, which ignores rotation and scale. Dashed: "
        "an untrained model on the other side, the bound to read it against.",
        "bilingual models are at least as similar as monolingual ones, both far above the bound; "
        "the first layers are the most similar, and close languages more than distant ones.",
    ),
    Kind(
        "mapped-ner",
        "Fig. 8, entities",
        "context-ner",
        "f1",
        "F1",
        "Entities with one bilingual model aligned to itself, by layer",
        _MAPPED_CAPTION,
        shows=MAPPED,
    ),
    Kind(
        "mapped-parsing",
        "Fig. 8, parsing",
        "context-parsing",
        "las",
        "LAS",
        "Parsing with one bilingual model aligned to itself, by layer",
        _MAPPED_CAPTION,
        shows=MAPPED,
    ),
)
CORRELATED = ("similarity", "cka"), ("aligned-retrieval", "p@1")
PROBES = frozenset(
    {kind.probe for kind in KINDS} | {"aligned-retrieval", "lexicon-embedding", "lexicon-static"}
)


def curve_points(results: "pd.DataFrame", kind: Kind) -> "pd.DataFrame":
    """Return the points of a kind's curves, averaged over seeds.

    Args:
        results: A study's table of scores.
        kind: Which scores.

    Returns:
        One row a point: pair, dataset, variant, encoder (``trained``, ``untrained``, ``unmapped``,
        or ``chance`` for a baseline without layers), layer, what ``scores.average`` gives, and
        measure (constant).
    """
    import pandas as pd

    rows = _chosen(results, kind.probe, kind.metric)
    rows = rows[rows["layer"].notna() & rows["condition"].isin([TRAINED, UNTRAINED, UNMAPPED])]
    rows = rows.assign(encoder=rows["condition"])
    floor = _chosen(results, *kind.floor)
    floor = floor[floor["condition"].eq(TRAINED) & floor["direction"].eq("")]
    if len(floor) and len(rows):
        rows = pd.concat([rows, floor.assign(layer=0, encoder=CHANCE)], ignore_index=True)
    points = average(rows.astype({"layer": int}), _POINT).sort_values(_POINT, ignore_index=True)
    return points.assign(measure=kind.quantity)


def _chosen(results: "pd.DataFrame", probe: str, metric: str) -> "pd.DataFrame":
    """Choose the scores of targets and of both directions, and those of each direction."""
    rows = with_intervals(results[results["probe"].eq(probe) & results["metric"].eq(metric)])
    return rows[rows["direction"].ne("") | of_targets(rows)]


def shown(points: "pd.DataFrame", kind: Kind, independent: Collection[str]) -> "pd.DataFrame":
    """Keep the curves that a figure is about.

    Args:
        points: From :func:`curve_points`.
        kind: The figure.
        independent: Variants whose languages have models of their own.
    """
    alone = points["variant"].isin(independent)
    if kind.shows == CUT:
        # Through a map, an untrained model gives the same scores in every variant.
        without = points["encoder"].eq(UNMAPPED)
        return points[alone & ~without | ~alone & without]
    return points[~alone] if kind.shows == MAPPED else points


def independent_variants(study: Study) -> tuple[str, ...]:
    """Return the variants in which the languages share no parameter: independent models.

    A variant none of whose runs has an estimate of its cost is judged by its name.
    """
    shared: dict[str, bool] = {}
    for run in study.runs:
        counts = (run.preflight or {}).get("parameters")
        if isinstance(counts, dict) and isinstance(counts.get("shared"), int):
            shared[run.variant] = shared.get(run.variant, False) or counts["shared"] > 0
    return tuple(
        name for name in study.variants if not shared.get(name, not name.startswith("monolingual"))
    )


def geometry_variants(study: Study) -> tuple[str, ...]:
    """Return the variants that have scores of aligned or compared models."""
    found = set(study.results.loc[study.results["probe"].isin(PROBES), "variant"])
    return tuple(name for name in study.variants if name in found)


def correlated_points(results: "pd.DataFrame") -> "pd.DataFrame":
    """Return CKA and retrieval after alignment of the same layers.

    Returns:
        One row per pair, data set, variant, seed and layer: ``cka`` and ``retrieval``.
    """
    key = ["pair", "dataset", "variant", "seed", "layer"]
    sides = []
    for (probe, metric), name in zip(CORRELATED, ("cka", "retrieval"), strict=True):
        rows = _chosen(results, probe, metric)
        rows = rows[rows["direction"].eq("") & rows["condition"].eq(TRAINED)]
        rows = rows[rows["layer"].notna()]
        sides.append(rows[[*key, "value"]].rename(columns={"value": name}))
    return sides[0].merge(sides[1], on=key)


def correlation(points: "pd.DataFrame") -> tuple[float, float, float]:
    """Correlate CKA with retrieval after alignment at the same layers.

    Layers of one model are not independent of each other; so the interval comes from resampling
    models (variant, pair and seed, each with all of its layers) with replacement.

    Args:
        points: From :func:`correlated_points`, or some of them.

    Returns:
        Pearson's r and the ends of its 95 % interval; all NaN with fewer than three points or if
        one of the scores is the same in all, the ends NaN with fewer than four models.
    """
    from xling.measures.comparison import pearson

    keys = ["variant", "pair", "seed"]
    models = [group[["cka", "retrieval"]].to_numpy(float) for _, group in points.groupby(keys)]
    value = _of(models) if len(points) > 2 else float("nan")
    if len(models) < _FEWEST or np.isnan(value):
        return value, float("nan"), float("nan")
    random = generator(0, "ledger-correlation", len(models))
    drawn = random.integers(len(models), size=(_RESAMPLES, len(models)))
    if len({len(rows) for rows in models}) == 1:
        values = pearson(np.stack(models)[drawn].reshape(_RESAMPLES, -1, 2))
    else:
        values = np.array([_of([models[i] for i in row]) for row in drawn])
    low, high = np.nanquantile(values, [0.025, 0.975])
    return value, float(low), float(high)


def _of(models: Sequence[NDArray[np.float64]]) -> float:
    from xling.measures.comparison import pearson

    return float(pearson(np.concatenate(models)[None])[0])
