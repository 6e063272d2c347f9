"""Scores of aligned and compared models: curves by layer, CKA against retrieval.

Conneau et al. 2020, section 5.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from xling.names import pair_languages
from xling.report.load import Study
from xling.report.scores import CHANCE, RANDOM, TRAINED, UNMAPPED

if TYPE_CHECKING:
    import pandas as pd

_PREFIXES = {"": TRAINED, "random:": RANDOM, "unmapped:": UNMAPPED}
_POINT = ["pair", "dataset", "variant", "encoder", "layer"]


@dataclass(frozen=True)
class Kind:
    """One question about models' geometry, and where its scores are.

    Attributes:
        name: Part of a figure's name.
        number: The paper's figure.
        probe: Of the rows.
        metric: The score shown.
        quantity: What it is called.
        title: The figure's heading.
        caption: How to read it.
        paper: What the paper found; empty if it says no more than of the figure before.
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
    "tested on the target language. Models of one language each are led there by a rotation "
    "learnt from aligned words (solid); a bilingual model needs none and is cut at that layer "
    "(short dashes). Long dashes: untrained models."
)
_MAPPED_CAPTION = (
    "The same with one bilingual model on both sides: its two languages brought together by a "
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
        "Linear CKA of the same sentences' vectors, which forgives rotation and scale. Dashed: "
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
        results: The tidy table, as ``load.read_results`` returns it.
        kind: Which scores.

    Returns:
        One row a point: pair, dataset, variant, encoder (``trained``, ``random``, ``without a
        map``, or ``chance`` for a baseline without layers), layer, value, low and high (missing
        unless every seed has them), seeds, measure (constant) and detail (each direction's mean).
    """
    import pandas as pd

    of_probe = results[results["probe"].eq(kind.probe) & results["layer"].notna()]
    rows = of_probe[of_target(of_probe)]
    parts = []
    for prefix, encoder in _PREFIXES.items():
        metric = f"{prefix}{kind.metric}"
        parts.append(_with_directions(_averaged(rows, metric, encoder), of_probe, metric))
    floor = results[results["probe"].eq(kind.floor[0]) & of_target(results)]
    if len(floor) and len(rows):
        parts.append(_averaged(floor.assign(layer=0), kind.floor[1], CHANCE))
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    table["detail"] = table["detail"].fillna("") if "detail" in table else ""
    return table.assign(measure=kind.quantity)


def shown(points: "pd.DataFrame", kind: Kind, independent: Collection[str]) -> "pd.DataFrame":
    """Keep the curves that a figure is about.

    Args:
        points: From :func:`curve_points`.
        kind: The figure.
        independent: Variants whose languages have models of their own.
    """
    alone = points["variant"].isin(independent)
    if kind.shows == CUT:
        # An untrained model says the same through a map whichever variant it belongs to.
        without = points["encoder"].eq(UNMAPPED)
        return points[alone & ~without | ~alone & without]
    return points[~alone] if kind.shows == MAPPED else points


def independent_variants(study: Study) -> tuple[str, ...]:
    """Return the variants in which the languages share no parameter: independent models.

    A variant none of whose runs has a pre-flight is judged by its name.
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


def of_target(results: "pd.DataFrame") -> "pd.Series[bool]":
    """Tell which rows are of a pair's target language, or of both directions."""
    base = results["pair"].map(lambda pair: pair_languages(pair)[0])
    one_way = results["language"].str.contains(">", regex=False)
    return ~one_way & results["language"].ne(base)


def _with_directions(points: "pd.DataFrame", rows: "pd.DataFrame", metric: str) -> "pd.DataFrame":
    """Say beside the mean of both directions what each is; lend it their intervals.

    The spread of a mean is at most the mean of the spreads, so an interval is, if anything, too
    wide.
    """
    ways = rows[rows["language"].str.contains(">", regex=False)]
    keys = ["pair", "dataset", "variant", "layer"]
    values = ways[ways["metric"].eq(metric)]
    if values.empty or points.empty:
        return points
    means = values.groupby([*keys, "language"], sort=False)["value"].mean().reset_index()
    means["detail"] = [
        f"{language} {value:.3f}"
        for language, value in zip(means["language"], means["value"], strict=True)
    ]
    details = means.groupby(keys, sort=False)["detail"].agg(", ".join).reset_index()
    points = points.merge(details.astype({"layer": int}), on=keys, how="left")
    for end in ("low", "high"):
        bound = ways[ways["metric"].eq(f"{metric}-{end}")]
        if len(bound) and points[end].isna().all():
            ends = bound.groupby(keys, sort=False)["value"].mean().rename(f"of_{end}").reset_index()
            points = points.merge(ends.astype({"layer": int}), on=keys, how="left")
            points[end] = points.pop(f"of_{end}")
    return points


def _averaged(rows: "pd.DataFrame", metric: str, encoder: str) -> "pd.DataFrame":
    wide = rows[rows["metric"].isin([metric, f"{metric}-low", f"{metric}-high"])].copy()
    wide["end"] = wide["metric"].str.removeprefix(metric).replace("", "value").str.lstrip("-")
    wide["encoder"] = encoder
    table = wide.pivot_table("value", [*_POINT, "seed"], "end", aggfunc="last").reset_index()
    for end in ("value", "low", "high"):
        if end not in table:
            table[end] = float("nan")
    groups = table.groupby(_POINT, sort=False)
    result = groups.agg(value=("value", "mean"), seeds=("seed", "nunique"))
    for end in ("low", "high"):
        result[end] = groups[end].mean().where(groups[end].count() == groups[end].size())
    result = result.reset_index()
    result["layer"] = result["layer"].astype(int)
    return result


def correlated_points(results: "pd.DataFrame") -> "pd.DataFrame":
    """Return CKA and retrieval after alignment of the same layers.

    Returns:
        One row per pair, data set, variant, seed and layer: ``cka`` and ``retrieval``.
    """
    key = ["pair", "dataset", "variant", "seed", "layer"]
    sides = []
    for (probe, metric), name in zip(CORRELATED, ("cka", "retrieval"), strict=True):
        chosen = results["probe"].eq(probe) & results["metric"].eq(metric)
        rows = results[chosen & results["layer"].notna() & of_target(results)]
        sides.append(rows[[*key, "value"]].rename(columns={"value": name}))
    return sides[0].merge(sides[1], on=key)
