"""The table of factors: how far each variant brings the languages together, at its best layer."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.report.over_seeds import no_score, over_seeds, reference, score_cell
from xling.report.scores import ALL_TOKENS, ANCHOR_FREE, CENTRED, CKA, PLAIN, RETRIEVAL
from xling.report.tables import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

_KEY = ["pair", "variant", "dataset", "tokens"]
_COLUMNS = {
    (RETRIEVAL, ALL_TOKENS): "retrieval",
    (RETRIEVAL, ANCHOR_FREE): "retrieval, anchor-free",
    (CKA, ALL_TOKENS): "CKA",
}
_NOTE = (
    "Precision@1 of sentence retrieval at the layer where it is highest, and CKA at the layer "
    "of the first column. The layer is chosen on the very lines that give the score, for each "
    "variant by itself, so scores are a little too high, most where layers differ little. Mean "
    "of both directions and all seeds. Δ: difference from {base}, over the seeds that both "
    "have, each at its own best layer. In brackets the 95\u00a0% interval over lines; it does not "
    "cover the choice of seed, which the range over seeds shows. Untrained: encoders that never "
    "saw text, at that layer, the bound to read scores against. ★ highest, ▽ lowest of a column."
)


def factor_tables(
    seeds: "pd.DataFrame",
    comparison: "pd.DataFrame",
    variants: Sequence[str],
    pairs: Sequence[str],
) -> list[Table]:
    """Return a table a data set and set of pairs that have variants in common.

    Args:
        seeds: From ``scores.by_seed``.
        comparison: From ``scores.compare``.
        variants: In the study's order.
        pairs: The comparisons, in the study's order.
    """
    base = reference(variants)
    tables = []
    for dataset in dict.fromkeys(seeds["dataset"]):
        of_set = seeds[seeds["dataset"].eq(dataset)]
        measure = CENTRED if of_set["measure"].eq(CENTRED).any() else PLAIN
        chosen = of_set[of_set["measure"].isin([measure, CKA])]
        for group in _groups(chosen, pairs):
            rows = chosen[chosen["pair"].isin(group)]
            beside = comparison[
                comparison["dataset"].eq(dataset) & comparison["measure"].isin([measure, CKA])
            ]
            centred = ", vectors centred" if measure == CENTRED else ""
            caption = f"Best layer of each variant on {dataset}{centred}"
            table = _table(at_best_layers(rows), beside, variants, group, base, caption)
            if table.rows:
                tables.append(table)
    note = _NOTE.format(base=base)
    return [*tables[:-1], *(replace(last, note=note) for last in tables[-1:])]


def _groups(scores: "pd.DataFrame", pairs: Sequence[str]) -> list[list[str]]:
    """Put pairs together that have a variant in common.

    A variant that makes its other language from the base has a pair of its own.
    """
    groups: list[tuple[set[str], list[str]]] = []
    for pair in pairs:
        names = set(scores.loc[scores["pair"].eq(pair), "variant"])
        if not names:
            continue
        for there, members in groups:
            if there & names:
                there |= names
                members.append(pair)
                break
        else:
            groups.append((names, [pair]))
    return [members for _, members in groups]


def at_best_layers(seeds: "pd.DataFrame") -> "pd.DataFrame":
    """Keep each form of retrieval at its best layer, and CKA at that of retrieval."""
    import pandas as pd

    retrieval = seeds[seeds["family"].eq(RETRIEVAL)]
    means = retrieval.groupby([*_KEY, "layer"], sort=False)["value"].mean().reset_index()
    best = means.loc[means.groupby(_KEY, sort=False)["value"].idxmax(), [*_KEY, "layer"]]
    similarity = seeds[seeds["family"].eq(CKA) & seeds["tokens"].eq(ALL_TOKENS)]
    keys = [*_KEY, "layer"]
    parts = [retrieval.merge(best, on=keys), similarity.merge(best, on=keys)]
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def _table(
    chosen: "pd.DataFrame",
    comparison: "pd.DataFrame",
    variants: Sequence[str],
    pairs: Sequence[str],
    base: str,
    caption: str,
) -> Table:
    kinds = [
        kind
        for kind in _COLUMNS
        if (chosen["family"].eq(kind[0]) & chosen["tokens"].eq(kind[1])).any()
    ]
    columns = [(pair, *kind) for pair in pairs for kind in kinds]
    named: Any = list(zip(chosen["pair"], chosen["family"], chosen["tokens"], strict=True))
    frame = chosen.assign(column=named)
    layers = {
        (row["variant"], row["column"]): int(row["layer"]) for row in frame.to_dict("records")
    }
    random = {
        (row["variant"], (row["pair"], row["family"], row["tokens"]), row["layer"]): row["random"]
        for row in comparison.to_dict("records")
    }
    cells = {}
    for _, row in over_seeds(frame, base).iterrows():
        key = row["variant"], row["column"]
        bound = random.get((*key, layers[key]), float("nan"))
        notes = [f"layer {layers[key]}"]
        if bound == bound:
            notes.append(f"untrained {formatting.score(bound)}")
        cells[key] = score_cell(row, notes)
    rows = []
    for variant in variants:
        found = [cells.get((variant, column), no_score()) for column in columns]
        if any(cell != no_score() for cell in found):
            rows.append((Cell(variant), *found))
    heads = [_COLUMNS[family, tokens] for _, family, tokens in columns]
    groups = tuple((pair, len(kinds)) for pair in pairs)
    return Table(caption, ("variant", *heads), 1, tuple(rows), groups)
