"""What the scores say, in sentences. Every number here is computed from the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling import formatting
from xling.report.load import Study, comparisons
from xling.report.scores import ALL_TOKENS, ANCHOR_FREE, CENTRED, CKA, PLAIN, RETRIEVAL
from xling.results import ABOVE, BELOW, UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

SHARED, PARTLY, NOT_SHARED, UNTOLD = "shared", "partly shared", "not shared", "cannot be told"
FORMS = {
    (ALL_TOKENS, PLAIN): "over all tokens",
    (ANCHOR_FREE, PLAIN): "without the shared tokens",
    (ALL_TOKENS, CENTRED): "over all tokens after centring",
    (ANCHOR_FREE, CENTRED): "without the shared tokens after centring",
}


@dataclass(frozen=True)
class Finding:
    """What was found for one variant and pair.

    Attributes:
        variant: The variant.
        pair: The pair of languages.
        verdict: ``shared`` if retrieval is clearly above the untrained encoders at some layer on
            every data set, both over all tokens and without the shared ones (as the vectors are,
            or both times after centring); ``partly shared`` if only in some of these forms;
            ``not shared`` if in none; ``cannot be told`` without the scores to tell by.
        answer: The verdict as a sentence that names the layers.
        sentences: The numbers behind it, by data set.
    """

    variant: str
    pair: str
    verdict: str
    answer: str
    sentences: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Summary:
    """The top of the page: what was found and how sure it is."""

    findings: tuple[Finding, ...]
    certainty: tuple[str, ...]


def summarise(study: Study, comparison: "pd.DataFrame", of_ledger: Sequence[str] = ()) -> Summary:
    """Put a study's scores into words.

    Args:
        study: The study.
        comparison: Its scores against untrained encoders and chance, from ``scores.compare``.
        of_ledger: How sure the claims ledger is.
    """
    planned = {(run.variant, pair) for run in study.runs for pair in comparisons(run.pair)}
    scored = set(zip(comparison["variant"], comparison["pair"], strict=True))
    findings = tuple(
        _finding(variant, pair, comparison)
        for pair in study.comparisons
        for variant in study.variants
        if (variant, pair) in planned | scored
    )
    return Summary(findings, (*_certainty(study, comparison), *of_ledger))


def common_layers(rows: "pd.DataFrame", tokens: str, measure: str) -> list[int]:
    """Return the layers where a form of retrieval is above random on every data set.

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


def best_layer(rows: "pd.DataFrame") -> Any:
    """Return the row of the highest value among the layers above random, or else among all.

    An untrained encoder can do well at the embeddings, through shared tokens alone; so a
    layer that beats it comes first.

    Args:
        rows: One series of ``scores.compare``.
    """
    above = rows[rows["standing"].eq(ABOVE)]
    candidates: Any = rows if above.empty else above
    return candidates.loc[candidates["value"].idxmax()]


def _finding(variant: str, pair: str, comparison: "pd.DataFrame") -> Finding:
    rows = comparison[comparison["variant"].eq(variant) & comparison["pair"].eq(pair)]
    sentences = {
        dataset: tuple(_dataset_sentences(rows[rows["dataset"].eq(dataset)]))
        for dataset in dict.fromkeys(rows["dataset"])
    }
    verdict, answer = _verdict(variant, rows)
    return Finding(variant, pair, verdict, answer, sentences)


def _verdict(variant: str, rows: "pd.DataFrame") -> tuple[str, str]:
    told = rows[rows["family"].eq(RETRIEVAL) & rows["standing"].ne(UNKNOWN)]
    if told.empty:
        lacks = "an untrained encoder to compare with" if len(rows) else "any score"
        return UNTOLD, f"{variant}: nothing can be said; the study lacks {lacks}."
    above = {form: common_layers(told, *form) for form in FORMS}
    for measure, how in ((PLAIN, ""), (CENTRED, ", once each language's vectors are centred,")):
        with_shared, without = above[ALL_TOKENS, measure], above[ANCHOR_FREE, measure]
        if with_shared and without:
            both = sorted(set(with_shared) & set(without))
            place = f" at {formatting.layers(both)}" if both else ""
            return SHARED, (
                f"{variant}: a shared space shows{place}. Retrieval{how} is clearly above an "
                f"untrained encoder on every data set at {formatting.layers(with_shared)} over all "
                f"tokens and at {formatting.layers(without)} without the shared tokens. "
                + _example(told[told["measure"].eq(measure)], both or without)
            )
    tested = set(zip(told["tokens"], told["measure"], strict=True))
    forms = [form for form in FORMS if form in tested]
    clear = [f"at {formatting.layers(above[form])} {FORMS[form]}" for form in forms if above[form]]
    unclear = [FORMS[form] for form in forms if not above[form]]
    if clear:
        rest = f", but at no layer {formatting.listing(unclear, 'or')}" if unclear else ""
        return PARTLY, (
            f"{variant}: a shared space shows only in part. Retrieval is clearly above an "
            f"untrained encoder on every data set {formatting.listing(clear)}{rest}."
        )
    forms_text = formatting.listing([FORMS[form] for form in forms], "or")
    if len(forms) == len(FORMS):
        forms_text = "with the shared tokens or without them, centred or not"
    singles = int(told["standing"].eq(ABOVE).sum())
    stray = ""
    if singles:
        stray = (
            f" ({singles} of {len(told)} single comparisons are above it, but none on every data "
            "set at once)"
        )
    return NOT_SHARED, (
        f"{variant}: no sign of a shared space. At no layer does retrieval clearly beat an "
        f"untrained encoder on every data set, {forms_text}{stray}."
    )


def _example(told: "pd.DataFrame", layers: list[int]) -> str:
    """Give the numbers at the layer, of those named, that is best without shared tokens."""
    free = told[told["tokens"].eq(ANCHOR_FREE) & told["layer"].isin(layers)]
    layer: Any = free.groupby("layer")["value"].mean().idxmax()
    here = told[told["layer"].eq(layer)]
    sentences = []
    for dataset in dict.fromkeys(here["dataset"]):
        scores = {
            row["tokens"]: row for row in here[here["dataset"].eq(dataset)].to_dict("records")
        }
        parts = [
            f"{formatting.score(scores[tokens]['value'])}{how} ({_bounds(scores[tokens])})"
            for tokens, how in ((ALL_TOKENS, ""), (ANCHOR_FREE, " without the shared tokens"))
            if tokens in scores
        ]
        sentences.append(
            f"On {dataset}, precision@1 at layer {layer} is {formatting.listing(parts)}."
        )
    return " ".join(sentences)


def _bounds(row: Any) -> str:
    """Name what a score is to be read against: the untrained encoder and chance."""
    bounds = {"untrained encoder": row["random"], "chance": row["chance"]}
    return "; ".join(
        f"{name} {formatting.score(value)}" for name, value in bounds.items() if value == value
    )


def _dataset_sentences(of_set: "pd.DataFrame") -> list[str]:
    """Say of every test on one data set where it is highest and where above random."""
    names = {
        (RETRIEVAL, ALL_TOKENS, PLAIN): "Retrieval",
        (RETRIEVAL, ANCHOR_FREE, PLAIN): "Anchor-free retrieval",
        (CKA, ALL_TOKENS, CKA): "CKA",
    }
    sentences = []
    for (family, tokens, measure), name in names.items():
        rows = of_set[
            of_set["family"].eq(family)
            & of_set["tokens"].eq(tokens)
            & of_set["measure"].eq(measure)
        ]
        if not rows.empty:
            sentences.append(f"{name} {_peak(rows)}")
    return sentences


def _peak(rows: "pd.DataFrame") -> str:
    """Say where one series is highest, against what, and at which layers it is above it."""
    best = best_layer(rows)
    beside = [_bounds(best)] if _bounds(best) else []
    if best["low"] == best["low"]:
        ends = f"{formatting.score(best['low'])} to {formatting.score(best['high'])}"
        beside.insert(0, f"95\u00a0% interval {ends}")
    numbers = f"layer {best['layer']} with {formatting.score(best['value'])}"
    if beside:
        numbers += f" ({'; '.join(beside)})"
    standing = rows["standing"]
    above = [int(layer) for layer in rows.loc[standing.eq(ABOVE), "layer"]]
    if above:
        extent = "every layer" if len(above) == len(rows) else formatting.layers(above)
        return f"is clearly above an untrained encoder at {extent}, and highest there at {numbers}."
    if standing.eq(UNKNOWN).all():
        return f"is highest at {numbers}; there is no untrained encoder to compare with."
    below = [int(layer) for layer in rows.loc[standing.eq(BELOW), "layer"]]
    lower = f" (and clearly below it at {formatting.layers(below)})" if below else ""
    return f"is at no layer clearly above an untrained encoder{lower}; it is highest at {numbers}."


def _certainty(study: Study, comparison: "pd.DataFrame") -> list[str]:
    sentences = []
    seeds = sorted({run.seed for run in study.runs} | {int(n) for n in study.results["seed"]})
    if len(seeds) == 1:
        sentences.append(
            f"Every model was trained once (seed {seeds[0]}): nothing here tells how much the "
            "scores would differ between trainings."
        )
    elif seeds:
        sentence = f"Seeds: {formatting.listing([str(seed) for seed in seeds])}"
        gap = (comparison["greatest"] - comparison["least"])[comparison["family"].eq(RETRIEVAL)]
        if gap.notna().any():
            sentence += f"; between them, retrieval at one layer differs by up to {gap.max():.3f}"
        sentences.append(f"{sentence}.")
    if sizes := _sentence_counts(study.results):
        sentences.append(f"Parallel lines tested: {formatting.listing(sizes)}.")
    anchors = study.results.loc[study.results["metric"].eq("anchor-tokens"), "value"]
    if len(anchors):
        least, most = 1 - anchors.max(), 1 - anchors.min()
        sentences.append(
            f"Anchor-free scores rest on the {least:.0%} to {most:.0%} of the running tokens (by "
            "variant, data set and language) that are left without the shared ones."
        )
    if comparison["low"].notna().any():
        sentences.append(
            "The 95\u00a0% intervals come from drawing the test sentences anew; they do not cover "
            "the choice of seed."
        )
    if mixed := [f"{name} {found}" for name, found in study.versions.items() if ", " in found]:
        sentences.append(
            f"Scores were computed with several versions of packages ({'; '.join(mixed)}): a "
            "difference between two scores may be one of versions."
        )
    if not comparison.empty:
        compared = int(comparison["standing"].ne(UNKNOWN).sum())
        sentences.append(
            "Clearly above means: the whole interval, and the score of every seed, lie above "
            "every untrained encoder and above chance. For CKA, which has no interval, the seeds "
            f"decide alone. There are {compared:,} such comparisons on this page, so a few will be "
            "above or below by luck; trust what holds over layers and data sets."
        )
        sentences.append(
            "The highest layer is picked on the same sentences that give its score, which flatters "
            "it a little."
        )
    return sentences


def _sentence_counts(results: "pd.DataFrame") -> list[str]:
    rows = results[results["probe"].eq("coverage") & results["metric"].eq("sentences")]
    sizes = rows[["dataset", "value"]].drop_duplicates()
    return [
        f"{name} {formatting.count(size)}"
        for name, size in zip(sizes["dataset"], sizes["value"], strict=True)
    ]
