"""Scores of aligned and compared models (PAPER 5): curves by layer, best layers, correlation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling.report import words
from xling.report.scores import CHANCE, RANDOM, TRAINED, UNMAPPED
from xling.report.tables import ABSENT, Cell, Table, figure

if TYPE_CHECKING:
    import pandas as pd

_PREFIXES = {"": TRAINED, "random:": RANDOM, "unmapped:": UNMAPPED}
_POINT = ["pair", "dataset", "variant", "encoder", "layer"]


@dataclass(frozen=True)
class Kind:
    """One question about models' geometry, and where its scores are.

    Attributes:
        name: Part of a figure's name.
        probe: Of the rows.
        metric: The score shown.
        quantity: What it is called.
        title: The figure's heading.
        caption: What is measured and what the paper found.
        floor: Probe and metric of a baseline that has no layers; none if empty.
    """

    name: str
    probe: str
    metric: str
    quantity: str
    title: str
    caption: str
    floor: tuple[str, str] = ("", "")


KINDS = (
    Kind(
        "words",
        "lexicon-context",
        "p@1-csls",
        "precision@1",
        "Word translation after alignment, by layer (the paper's Fig. 4b)",
        "Averages of every occurrence of a word, aligned by a rotation on a training dictionary: "
        "how often the nearest word by CSLS is a translation in the test dictionary; mean of both "
        "directions. Dotted line: static vectors of the same text, aligned alike. The paper finds "
        "contextual averages better the higher the layer.",
        ("lexicon-static", "p@1-csls"),
    ),
    Kind(
        "context-ner",
        "context-ner",
        "f1",
        "F1",
        "Entities learnt on one model, found with the other through a map (Fig. 5 and 8)",
        "New layers and a head are trained on the source model's frozen layer; the target "
        "language's model gives its own states, which a rotation learnt from aligned words leads "
        "there. For models of one language each this is the paper's Fig. 5, for the two sides of "
        "one bilingual model its Fig. 8, and without a map the bilingual model cut at that layer. "
        "The paper finds middle layers best, and a wider gap to the bilingual model than for "
        "parsing.",
    ),
    Kind(
        "context-parsing",
        "context-parsing",
        "las",
        "LAS",
        "Parsing learnt on one model, done with the other through a map (Fig. 5 and 8)",
        "As above, for dependency trees. The paper finds middle layers best.",
    ),
    Kind(
        "sentences",
        "alignment-sentences",
        "p@1",
        "precision@1",
        "Sentence retrieval after alignment, by layer (Fig. 6)",
        "A rotation is learnt from parallel lines and retrieves other parallel lines by cosine; "
        "mean of both directions. The paper finds lower layers best.",
    ),
    Kind(
        "similarity",
        "similarity",
        "cka",
        "linear CKA",
        "Similarity of two models, layer against layer (Fig. 7)",
        "Linear CKA of the same sentences' vectors, which forgives rotation and scale. The "
        "dashed line has an untrained model on the other side. The paper finds bilingual models "
        "at least as similar as monolingual ones, both far above that bound, and lower layers "
        "more similar.",
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
        unless every seed has them), seeds, measure and detail (both constant).
    """
    import pandas as pd

    rows = results[results["probe"].eq(kind.probe) & _of_target(results)]
    rows = rows[rows["layer"].notna()]
    parts = []
    for prefix, encoder in _PREFIXES.items():
        parts.append(_averaged(rows, f"{prefix}{kind.metric}", encoder))
    floor = results[results["probe"].eq(kind.floor[0]) & _of_target(results)]
    if len(floor) and len(rows):
        parts.append(_averaged(floor.assign(layer=0), kind.floor[1], CHANCE))
    table = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return table.assign(measure=kind.quantity, detail="")


def _of_target(results: "pd.DataFrame") -> "pd.Series[bool]":
    """Tell which rows are of a pair's target language, or of both directions."""
    base = results["pair"].str.split("-").str[0]
    one_way = results["language"].str.contains(">", regex=False)
    return ~one_way & results["language"].ne(base)


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


def best_layers(points: "pd.DataFrame", kind: Kind, variants: Sequence[str]) -> Table:
    """Write a row a pair and variant: the layer with the highest score, and what is beside it."""
    rows = []
    groups: Any = points.groupby(["pair", "dataset"], sort=False)
    for (pair, dataset), of_pair in groups:
        for variant in variants:
            here = of_pair[of_pair["variant"].eq(variant)]
            trained = here[here["encoder"].eq(TRAINED)]
            if trained.empty:
                continue
            best = trained.loc[trained["value"].idxmax()]
            interval = (
                f"{words.score(best['low'])} to {words.score(best['high'])}"
                if best["low"] == best["low"]
                else ABSENT
            )
            beside = [
                figure(_at(here, encoder, int(best["layer"])), words.score)
                for encoder in (UNMAPPED, RANDOM, CHANCE)
            ]
            rows.append(
                (
                    Cell(str(pair)),
                    Cell(str(dataset)),
                    Cell(variant),
                    Cell(str(best["layer"]), "number"),
                    figure(best["value"], words.score),
                    Cell(interval, "number"),
                    *beside,
                    figure(best["seeds"], words.count),
                )
            )
    heads = ("layer", kind.quantity, "95\u00a0% interval", UNMAPPED, RANDOM, "baseline", "seeds")
    return Table(f"Best layers: {kind.title}", ("pair", "data", "variant", *heads), 3, tuple(rows))


def _at(points: "pd.DataFrame", encoder: str, layer: int) -> float:
    chosen = points[points["encoder"].eq(encoder)]
    if encoder != CHANCE:
        chosen = chosen[chosen["layer"].eq(layer)]
    return float(chosen["value"].mean())


def embedding_table(results: "pd.DataFrame") -> Table | None:
    """Compare the embedding matrix with static vectors on the same words (Fig. 4a)."""
    rows = results[results["probe"].eq("lexicon-embedding") & _of_target(results)]
    scores = rows[rows["metric"].isin(["p@1-csls", "static:p@1-csls"])]
    if scores.empty:
        return None
    wide = scores.pivot_table("value", ["pair", "variant"], "metric", sort=False)
    entries: Any = wide.iterrows()
    cells = [
        (
            *map(Cell, key),
            *(figure(row.get(name), words.score) for name in ("p@1-csls", "static:p@1-csls")),
        )
        for key, row in entries
    ]
    return Table(
        "Word translation from the embedding matrix (the paper's Fig. 4a): precision@1 by CSLS",
        ("pair", "variant", "embedding matrix", "static vectors, same words"),
        2,
        tuple(cells),
        note="Words of a single subword. The paper finds the embedding matrix at or above fastText "
        "on the same words. A dash: too few pairs for a rotation of that width.",
    )


def correlated_points(results: "pd.DataFrame") -> "pd.DataFrame":
    """Return CKA and retrieval after alignment of the same layers.

    Returns:
        One row a pair, data set, variant, seed and layer: ``cka`` and ``retrieval``.
    """
    key = ["pair", "dataset", "variant", "seed", "layer"]
    sides = []
    for (probe, metric), name in zip(CORRELATED, ("cka", "retrieval"), strict=True):
        chosen = results["probe"].eq(probe) & results["metric"].eq(metric)
        rows = results[chosen & results["layer"].notna() & _of_target(results)]
        sides.append(rows[[*key, "value"]].rename(columns={"value": name}))
    return sides[0].merge(sides[1], on=key)
