"""Tables of aligned and compared models: best layers, and the embedding matrix (PAPER Fig. 4a)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xling.report import words
from xling.report.geometry import Kind, of_target
from xling.report.scores import CHANCE, RANDOM, TRAINED, UNMAPPED
from xling.report.tables import ABSENT, Cell, Table, figure

if TYPE_CHECKING:
    import pandas as pd


def best_layers(points: "pd.DataFrame", kind: Kind, variants: Sequence[str]) -> Table:
    """Write a row a pair and variant: the layer with the highest score, and what is beside it."""
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
    rows = results[results["probe"].eq("lexicon-embedding") & of_target(results)]
    scores = rows[rows["metric"].isin(["p@1-csls", "static:p@1-csls"])]
    if scores.empty:
        return None
    wide = scores.pivot_table("value", ["pair", "variant"], "metric", sort=False)
    covered = results[results["probe"].eq("lexicon-embedding") & results["metric"].eq("coverage")]
    coverage = covered.groupby(["pair", "variant"])["value"].mean()
    entries: Any = wide.iterrows()
    cells = [
        (
            *map(Cell, key),
            *(figure(row.get(name), words.score) for name in ("p@1-csls", "static:p@1-csls")),
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
