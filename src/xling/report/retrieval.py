"""Do the languages share a space? The verdicts, and the tables of retrieval and similarity."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.files import JsonObject
from xling.report.coverage import COVERAGE, Cut, compared, cut_cell
from xling.report.load import Study, comparisons
from xling.report.scores import ALL_TOKENS, ANCHOR_FREE, CENTRED, CKA, PLAIN, RETRIEVAL
from xling.report.tables import (
    Cell,
    Table,
    interval,
    no_score,
    over_seeds,
    reference,
    score_cell,
)
from xling.results import ABOVE, BELOW, UNCLEAR, UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

SHARED, PARTLY, NOT_SHARED, UNTOLD = "shared", "partly shared", "not shared", "cannot be told"
FORMS = {
    (ALL_TOKENS, PLAIN): "all tokens",
    (ANCHOR_FREE, PLAIN): "anchor-free",
    (ALL_TOKENS, CENTRED): "all tokens, centred",
    (ANCHOR_FREE, CENTRED): "anchor-free, centred",
}
MARKS = {ABOVE: "▲", UNCLEAR: "=", BELOW: "▼", UNKNOWN: ""}
MEASURES = {PLAIN: "retrieval", CENTRED: "retrieval, centred", CKA: "CKA"}
_KEY = ["pair", "variant", "dataset", "tokens"]
_COLUMNS = {
    (RETRIEVAL, ALL_TOKENS): "retrieval",
    (RETRIEVAL, ANCHOR_FREE): "retrieval, anchor-free",
    (CKA, ALL_TOKENS): "CKA",
}
_NOTE = (
    "Shared space: the verdict over all data sets, and the layers where retrieval is clearly above "
    "an untrained encoder. Retrieval: precision@1 of sentence retrieval at its best layer; CKA: at "
    "the layer of the first column. The best layer is chosen on the same lines that give the "
    "score, so scores are a little too high. Scores are means of both directions and all seeds. Δ: "
    "difference from {base}, over the seeds that both have, each at its own best layer. In "
    "brackets: the 95\u00a0% interval over lines; it does not cover the choice of seed, which the "
    "range over seeds shows. Untrained: the same encoder before training, at that layer. Lines "
    "cut: the share of test lines longer than the model's last position. ★ highest, ▽ lowest of a "
    "pair."
)


@dataclass(frozen=True)
class Finding:
    """Whether a variant's languages share a space, for one pair.

    Attributes:
        variant: The variant.
        pair: The pair of languages.
        verdict: ``shared`` if retrieval is clearly above the untrained encoders at some layer on
            every data set, both over all tokens and without the shared ones (as the vectors are,
            or both times after centring); ``partly shared`` if only in some of these forms;
            ``not shared`` if in none; ``cannot be told`` without the scores to tell by.
        where: The layers, or what is missing, in short lines.
    """

    variant: str
    pair: str
    verdict: str
    where: tuple[str, ...] = ()


def find_shared_spaces(study: Study, comparison: "pd.DataFrame") -> tuple[Finding, ...]:
    """Judge every variant and pair.

    Args:
        study: The study.
        comparison: Its scores against untrained encoders and chance, from ``scores.compare``.
    """
    planned = {(run.variant, pair) for run in study.runs for pair in comparisons(run.pair)}
    scored = set(zip(comparison["variant"], comparison["pair"], strict=True))
    return tuple(
        Finding(variant, pair, *_verdict(_of(comparison, variant, pair)))
        for pair in study.comparisons
        for variant in study.variants
        if (variant, pair) in planned | scored
    )


def _of(comparison: "pd.DataFrame", variant: str, pair: str) -> "pd.DataFrame":
    return comparison[comparison["variant"].eq(variant) & comparison["pair"].eq(pair)]


def _verdict(rows: "pd.DataFrame") -> tuple[str, tuple[str, ...]]:
    told = rows[rows["family"].eq(RETRIEVAL) & rows["standing"].ne(UNKNOWN)]
    if told.empty:
        return UNTOLD, ("no untrained encoder" if len(rows) else "no scores",)
    above = {form: common_layers(told, *form) for form in FORMS}
    for measure, how in ((PLAIN, ""), (CENTRED, " after centring")):
        with_shared, without = above[ALL_TOKENS, measure], above[ANCHOR_FREE, measure]
        if with_shared and without:
            if both := sorted(set(with_shared) & set(without)):
                return SHARED, (f"{formatting.layers(both)}{how}",)
            return SHARED, tuple(_where(above, measure))
    if clear := tuple(_where(above)):
        return PARTLY, clear
    singles = int(told["standing"].eq(ABOVE).sum())
    return NOT_SHARED, (f"{singles} of {len(told)} scores above",) if singles else ()


def _where(above: dict[tuple[str, str], list[int]], only: str = "") -> Iterator[str]:
    for (tokens, measure), at in above.items():
        if at and only in ("", measure):
            yield f"{FORMS[tokens, measure]}: {formatting.layers(at)}"


def common_layers(rows: "pd.DataFrame", tokens: str, measure: str) -> list[int]:
    """Return the layers where a form of retrieval is above the untrained on every data set.

    Args:
        rows: One variant and pair of ``scores.compare``.
        tokens: All tokens or anchor-free.
        measure: As the vectors are, or centred.
    """
    chosen = rows[
        rows["family"].eq(RETRIEVAL) & rows["tokens"].eq(tokens) & rows["measure"].eq(measure)
    ]
    everywhere = chosen["standing"].eq(ABOVE).groupby(chosen["layer"]).all()
    return sorted(int(layer) for layer in everywhere[everywhere].index)


def best_layer(rows: "pd.DataFrame") -> "pd.Series":
    """Return the row of the highest value among the layers above the untrained, or else among all.

    An untrained encoder can do well at the embeddings, through shared tokens alone; so a
    layer that beats it comes first.

    Args:
        rows: One series of ``scores.compare``.
    """
    above = rows[rows["standing"].eq(ABOVE)]
    candidates = rows if above.empty else above
    highest: Any = candidates["value"].idxmax()
    best: pd.Series = candidates.loc[highest]
    return best


def variant_tables(
    study: Study,
    seeds: "pd.DataFrame",
    comparison: "pd.DataFrame",
    findings: Sequence[Finding],
    cut: Cut,
) -> list[Table]:
    """Return a table per data set: every pair and variant at its best layer.

    Args:
        study: The study.
        seeds: From ``scores.by_seed``.
        comparison: From ``scores.compare``.
        findings: From `find_shared_spaces`.
        cut: From `coverage.cut_lines`.
    """
    base = reference(study.variants)
    tables: list[Table] = []
    for dataset in dict.fromkeys(seeds["dataset"]):
        chosen, measure = of_measure(seeds, dataset)
        cells = _best_cells(chosen, comparison[comparison["dataset"].eq(dataset)], base)
        kinds = [kind for kind in _COLUMNS if any(key[2:] == kind for key in cells)]
        rows = []
        for finding in findings:
            found = [cells.get((finding.variant, finding.pair, *kind)) for kind in kinds]
            if not any(found) and tables:  # a row without any score is in the first table only
                continue
            model, two = compared(finding.pair)
            lines = cut_cell(cut([COVERAGE], finding.variant, model, dataset, two))
            verdict = Cell(finding.verdict, "", finding.where)
            scores = (cell or no_score() for cell in found)
            rows.append((Cell(finding.pair), Cell(finding.variant), verdict, *scores, lines))
        centred = ", vectors centred" if measure == CENTRED else ""
        heads = ("shared space", *(_COLUMNS[kind] for kind in kinds), "lines cut")
        caption = f"Each variant at its best layer on {dataset}{centred}"
        tables.append(Table(caption, ("pair", "variant", *heads), 2, tuple(rows)))
    note = _NOTE.format(base=base)
    return [*tables[:-1], *(replace(last, note=note) for last in tables[-1:])]


def of_measure(seeds: "pd.DataFrame", dataset: str) -> tuple["pd.DataFrame", str]:
    """Return one data set's scores; for retrieval, those after centring if there are any."""
    of_set = seeds[seeds["dataset"].eq(dataset)]
    measure = CENTRED if of_set["measure"].eq(CENTRED).any() else PLAIN
    return of_set[of_set["measure"].isin([measure, CKA])], measure


def _best_cells(
    chosen: "pd.DataFrame", bounds: "pd.DataFrame", base: str
) -> dict[tuple[str, ...], Cell]:
    """Return the cells by variant, pair, family and tokens."""
    best = at_best_layers(chosen)
    named: Any = list(zip(best["pair"], best["family"], best["tokens"], strict=True))
    frame = best.assign(column=named)
    key = ("variant", "pair", "family", "tokens")
    layers = {tuple(row[name] for name in key): row["layer"] for row in frame.to_dict("records")}
    bounds = bounds[bounds["measure"].isin(chosen["measure"])]
    untrained = {
        (*(row[name] for name in key), row["layer"]): row["random"]
        for row in bounds.to_dict("records")
    }
    cells = {}
    for _, row in over_seeds(frame, base).iterrows():
        of = row["variant"], *row["column"]
        bound = untrained.get((*of, layers[of]), float("nan"))
        beside = "" if bound != bound else f", untrained {formatting.score(bound)}"
        cells[of] = score_cell(row, [f"layer {layers[of]}{beside}"])
    return cells


def at_best_layers(seeds: "pd.DataFrame") -> "pd.DataFrame":
    """Keep each form of retrieval at its best layer, and CKA at that of retrieval."""
    import pandas as pd

    retrieval = seeds[seeds["family"].eq(RETRIEVAL)]
    keys = [*_KEY, "layer"]
    means = retrieval.groupby(keys, sort=False)["value"].mean().reset_index()
    best = means.loc[means.groupby(_KEY, sort=False)["value"].idxmax(), keys]
    similarity = seeds[seeds["family"].eq(CKA) & seeds["tokens"].eq(ALL_TOKENS)]
    parts = [retrieval.merge(best, on=keys), similarity.merge(best, on=keys)]
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def layer_tables(comparison: "pd.DataFrame", pair: str, cut: Cut) -> list[Table]:
    """Return every score by layer with its interval, mark and bounds; a table per test and set.

    Args:
        comparison: From ``scores.compare``.
        pair: Which comparison of languages.
        cut: From `coverage.cut_lines`.
    """
    tables = []
    model, two = compared(pair)
    of_pair = comparison[comparison["pair"].eq(pair)]
    for family, dataset in product((RETRIEVAL, CKA), dict.fromkeys(of_pair["dataset"])):
        group = of_pair[of_pair["family"].eq(family) & of_pair["dataset"].eq(dataset)]
        if group.empty:
            continue
        layers = sorted({int(layer) for layer in group["layer"]})
        rows = []
        series_of: Any = group.groupby(["variant", "tokens", "measure"], sort=False)
        for (variant, tokens, measure), series in series_of:
            cells = {int(row["layer"]): _layer_cell(row) for row in series.to_dict("records")}
            chance = series["chance"].mean()
            rows.append(
                (
                    *map(Cell, (variant, tokens, MEASURES.get(measure, measure))),
                    *(cells.get(layer, no_score()) for layer in layers),
                    Cell(formatting.score(chance), "number") if chance == chance else no_score(),
                    cut_cell(cut([COVERAGE], variant, model, dataset, two)),
                )
            )
        heads = (*(f"layer {layer}" for layer in layers), "chance", "lines cut")
        name = "CKA" if family == CKA else "Retrieval"
        caption = f"{name} on {dataset} by layer, {pair}"
        tables.append(Table(caption, ("variant", "tokens", "measure", *heads), 3, tuple(rows)))
    return tables


def _layer_cell(row: JsonObject) -> Cell:
    text = f"{formatting.score(row['value'])} {MARKS[row['standing']]}".strip()
    notes = interval(row["low"], row["high"])
    if row["random"] == row["random"]:
        notes.append(f"untrained {formatting.score(row['random'])}")
        if row["random_low"] != row["random_high"]:
            notes += interval(row["random_low"], row["random_high"])
    return Cell(text, row["standing"], tuple(notes))


def how_sure(study: Study, comparison: "pd.DataFrame") -> list[str]:
    """Say in sentences what the scores rest on."""
    sentences = []
    seeds = sorted({run.seed for run in study.runs} | {int(n) for n in study.results["seed"]})
    if len(seeds) == 1:
        sentences.append(
            f"Every model was trained once (seed {seeds[0]}), so nothing shows how much scores "
            "would differ between trainings."
        )
    elif seeds:
        sentence = f"Seeds: {formatting.listing([str(seed) for seed in seeds])}"
        gap = (comparison["greatest"] - comparison["least"])[comparison["family"].eq(RETRIEVAL)]
        if gap.notna().any():
            sentence += f"; between them, retrieval at one layer differs by up to {gap.max():.3f}"
        sentences.append(f"{sentence}.")
    of_coverage = study.results[study.results["probe"].eq(COVERAGE)]
    lines = of_coverage[of_coverage["metric"].eq("sentences")]
    sizes = lines[["dataset", "value"]].drop_duplicates().itertuples(index=False, name=None)
    if counts := [f"{name} {formatting.count(size)}" for name, size in sizes]:
        sentences.append(f"Parallel lines tested: {formatting.listing(counts)}.")
    anchors = of_coverage.loc[of_coverage["metric"].eq("anchor-tokens"), "value"]
    if len(anchors):
        sentences.append(
            f"Anchor-free scores use {1 - anchors.max():.0%} to {1 - anchors.min():.0%} of the "
            "running tokens: those that the languages do not share."
        )
    if comparison["low"].notna().any():
        sentences.append(
            "The 95\u00a0% intervals cover the choice of test lines, not the choice of seed."
        )
    if mixed := [f"{name} {found}" for name, found in study.versions.items() if ", " in found]:
        sentences.append(
            f"Scores were computed with several versions of packages ({'; '.join(mixed)}), which "
            "may explain small differences between them."
        )
    if not comparison.empty:
        number = int(comparison["standing"].ne(UNKNOWN).sum())
        sentences.append(
            f"There are {number:,} comparisons with untrained encoders, so a few are above or "
            "below by chance; trust what holds over layers and data sets."
        )
    return sentences
