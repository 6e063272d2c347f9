"""What the scores say, in sentences. Every number here is computed from the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xling.report import words
from xling.report.load import Study
from xling.report.scores import (
    ABOVE,
    ALL_TOKENS,
    ANCHOR_FREE,
    BELOW,
    CENTRED,
    CKA,
    PLAIN,
    RETRIEVAL,
    UNKNOWN,
)

if TYPE_CHECKING:
    import pandas as pd

SHARED, PARTLY, NOT_SHARED, UNTOLD = "shared", "partly", "not shared", "cannot be told"


@dataclass(frozen=True)
class Finding:
    """What was found for one variant and pair.

    Attributes:
        variant: The variant.
        pair: The pair of languages.
        verdict: ``shared`` if retrieval is above the random encoders on every data set with and
            without shared tokens, ``partly`` if somewhere, ``not shared`` if nowhere,
            ``cannot be told`` without scores of the trained or a random encoder.
        sentences: The numbers behind it.
    """

    variant: str
    pair: str
    verdict: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """The top of the page: the answer, the findings behind it, and how sure they are."""

    answer: tuple[str, ...]
    findings: tuple[Finding, ...]
    certainty: tuple[str, ...]


def summarise(study: Study, comparison: "pd.DataFrame") -> Summary:
    """Put a study's scores into words.

    Args:
        study: The study.
        comparison: Its scores against random encoders and chance, from ``scores.compare``.
    """
    planned = dict.fromkeys((run.variant, run.pair) for run in study.runs)
    scored = dict.fromkeys(zip(comparison["variant"], comparison["pair"], strict=True))
    findings = [
        _finding(variant, pair, comparison)
        for pair in study.pairs
        for variant in study.variants
        if (variant, pair) in planned or (variant, pair) in scored
    ]
    return Summary(
        answer=tuple(_answer(pair, findings, comparison) for pair in study.pairs),
        findings=tuple(findings),
        certainty=tuple(_certainty(study, comparison)),
    )


def _answer(pair: str, findings: Sequence[Finding], comparison: "pd.DataFrame") -> str:
    """One paragraph on which variants of a pair share a space, and where."""
    groups: dict[str, list[str]] = {}
    for finding in findings:
        if finding.pair == pair:
            groups.setdefault(finding.verdict, []).append(finding.variant)
    sentences = []
    for variant in groups.get(SHARED, []):
        rows = comparison[comparison["pair"].eq(pair) & comparison["variant"].eq(variant)]
        sentences.append(f"With {variant}, the two languages share a space {_where(rows)}.")
    if partly := groups.get(PARTLY):
        sentences.append(
            f"With {words.listing(partly)}, the sign of a shared space is partial: retrieval "
            "clearly beats a random encoder in some tests, but not in all."
        )
    if not_shared := groups.get(NOT_SHARED):
        verb = "does" if len(not_shared) == 1 else "do"
        sentences.append(
            f"{words.listing(not_shared)} {verb} not beat a random encoder: at no layer and on no "
            "data set is retrieval clearly above it."
        )
    if untold := groups.get(UNTOLD):
        sentences.append(
            f"Nothing can be said of {words.listing(untold)}: scores of the trained or the random "
            "encoder are missing."
        )
    return f"{pair}: " + " ".join(sentences)


def _where(rows: "pd.DataFrame") -> str:
    """At which layers every test of a variant is above the random encoders."""
    tests = rows[rows["family"].eq(RETRIEVAL) & rows["measure"].eq(PLAIN)]
    everywhere = tests.groupby("layer")["standing"].agg(lambda column: column.eq(ABOVE).all())
    common = [int(layer) for layer, above in everywhere.items() if above]
    if not common:
        return "in every test, though not at the same layers in all of them"
    return (
        f"at {words.layers(common)}: there, retrieval is clearly above a random encoder on every "
        "data set, with the shared tokens and without them"
    )


def _finding(variant: str, pair: str, comparison: "pd.DataFrame") -> Finding:
    rows = comparison[comparison["variant"].eq(variant) & comparison["pair"].eq(pair)]
    sentences = []
    for dataset in dict.fromkeys(rows["dataset"]):
        of_set = rows[rows["dataset"].eq(dataset)]
        sentences += _retrieval_sentences(of_set, dataset)
        sentences += _cka_sentences(of_set, dataset)
    if not sentences:
        sentences = ["No scores: the runs failed or were not probed."]
    return Finding(variant, pair, _verdict(rows), tuple(sentences))


def _verdict(rows: "pd.DataFrame") -> str:
    retrieval = rows[rows["family"].eq(RETRIEVAL) & rows["standing"].ne(UNKNOWN)]
    if retrieval.empty:
        return UNTOLD
    above = retrieval["standing"].eq(ABOVE)
    plain = retrieval["measure"].eq(PLAIN)
    tests = above[plain].groupby([retrieval["dataset"], retrieval["tokens"]]).any()
    both_forms = set(retrieval.loc[plain, "tokens"]) == {ALL_TOKENS, ANCHOR_FREE}
    if len(tests) and tests.all() and both_forms:
        return SHARED
    return PARTLY if above.any() else NOT_SHARED


def _retrieval_sentences(of_set: "pd.DataFrame", dataset: str) -> list[str]:
    forms = {
        (tokens, measure): of_set[
            of_set["family"].eq(RETRIEVAL)
            & of_set["tokens"].eq(tokens)
            & of_set["measure"].eq(measure)
        ]
        for tokens in (ALL_TOKENS, ANCHOR_FREE)
        for measure in (PLAIN, CENTRED)
    }
    names = {
        (ALL_TOKENS, PLAIN): f"Retrieval on {dataset}",
        (ALL_TOKENS, CENTRED): f"Retrieval on {dataset} after centring",
        (ANCHOR_FREE, PLAIN): f"Anchor-free retrieval on {dataset}",
        (ANCHOR_FREE, CENTRED): f"Anchor-free retrieval on {dataset} after centring",
    }
    return [_sentence(names[form], rows) for form, rows in forms.items() if not rows.empty]


def _cka_sentences(of_set: "pd.DataFrame", dataset: str) -> list[str]:
    forms = {
        f"CKA on {dataset}": of_set[of_set["family"].eq(CKA) & of_set["tokens"].eq(ALL_TOKENS)],
        f"Anchor-free CKA on {dataset}": of_set[
            of_set["family"].eq(CKA) & of_set["tokens"].eq(ANCHOR_FREE)
        ],
    }
    return [_sentence(name, rows) for name, rows in forms.items() if not rows.empty]


def _sentence(name: str, rows: "pd.DataFrame") -> str:
    """Say where one test is highest, against what, and at which layers it is above it."""
    best = best_layer(rows)
    layer, value = int(best["layer"]), words.score(best["value"])
    spread = ""
    if best["low"] == best["low"]:
        spread = f" (95 % interval {words.score(best['low'])} to {words.score(best['high'])})"
    bounds = []
    if best["random"] == best["random"]:
        bounds.append(f"{words.score(best['random'])} for a random encoder at that layer")
    if best["chance"] == best["chance"]:
        bounds.append(f"{words.score(best['chance'])} by chance")
    against = f", against {words.listing(bounds)}" if bounds else ""
    above = [int(number) for number in rows.loc[rows["standing"].eq(ABOVE), "layer"]]
    if rows["standing"].eq(UNKNOWN).all():
        return f"{name} is highest at layer {layer}: {value}{spread}{against}; no random encoder."
    if not above:
        below = [int(number) for number in rows.loc[rows["standing"].eq(BELOW), "layer"]]
        tail = f" and is clearly below it at {words.layers(below)}" if below else ""
        return (
            f"{name} is at no layer clearly above a random encoder{tail}; it is highest at layer "
            f"{layer}: {value}{spread}{against}."
        )
    if len(above) == len(rows):
        extent = "every layer"
    else:
        extent = f"{words.layers(above)} of {rows['layer'].min()} to {rows['layer'].max()}"
    return (
        f"{name} is clearly above a random encoder at {extent}; there, it is highest at layer "
        f"{layer}: {value}{spread}{against}."
    )


def best_layer(rows: "pd.DataFrame") -> Any:
    """Return the row of the highest value among the layers above random, or among all.

    Args:
        rows: One series of ``scores.compare``. An untrained encoder can do well at the
            embeddings, through shared tokens alone; so a layer that beats it comes first.
    """
    above = rows[rows["standing"].eq(ABOVE)]
    candidates = rows if above.empty else above
    return candidates.loc[candidates["value"].idxmax()]


def _certainty(study: Study, comparison: "pd.DataFrame") -> list[str]:
    sentences = []
    seeds = sorted({run.seed for run in study.runs} | set(study.results["seed"]))
    if len(seeds) == 1:
        sentences.append(
            f"Every model was trained once (seed {seeds[0]}): nothing here tells how much the "
            "scores would differ between trainings."
        )
    elif seeds:
        gap = (comparison["greatest"] - comparison["least"])[comparison["family"].eq(RETRIEVAL)]
        sentence = f"Models were trained with {len(seeds)} seeds ({words.listing(_texts(seeds))})"
        if gap.notna().any():
            sentence += (
                "; between seeds, retrieval at one layer differs by at most "
                f"{words.score(gap.max())}"
            )
        sentences.append(sentence + ".")
    if sizes := _sentence_counts(study.results):
        sentences.append(f"Parallel lines tested: {words.listing(sizes)}.")
    if comparison["low"].notna().any():
        sentences.append(
            "The 95 % intervals come from drawing the test sentences anew; they do not cover the "
            "choice of seed. A score counts as clearly above a random encoder if its whole "
            "interval and every seed lie above every random encoder and above chance; CKA, which "
            "has no interval, if every seed does."
        )
    if not comparison.empty:
        sentences.append(
            "The best layer is chosen on the same sentences that give its score, and layers are "
            "compared one by one; both flatter a little."
        )
    return sentences


def _sentence_counts(results: "pd.DataFrame") -> list[str]:
    rows = results[results["probe"].eq("coverage") & results["metric"].eq("sentences")]
    sizes = rows.drop_duplicates(["pair", "dataset"])[["dataset", "value"]].drop_duplicates()
    return [f"{name} {words.count(n)}" for name, n in sizes.itertuples(index=False)]


def _texts(numbers: Sequence[Any]) -> list[str]:
    return [str(number) for number in numbers]
