"""Verdicts on results in which each is known."""

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from xling.report.claims.claim import Contrast, load_claims
from xling.report.claims.evaluate import (
    INCONCLUSIVE,
    NOT_MEASURED,
    NOT_SUPPORTED,
    SUPPORTED,
    evaluate,
)
from xling.report.published import load_published

Shift = Callable[..., pd.DataFrame]
PAIRS = ("aa-near", "aa-mid", "aa-far")
LOWER, MIDDLE = [0, 1, 2], [3]


def verdicts(results: pd.DataFrame, pairs: tuple[str, ...] = PAIRS) -> dict[str, str]:
    return {outcome.claim.id: outcome.verdict for outcome in evaluate(results, pairs)}


def test_retrieval_alone_supports_nothing_about_transfer(results: pd.DataFrame) -> None:
    about_transfer = {
        "transfer-without-anchors",
        "anchors-matter-little",
        "top-layers-are-needed",
        "extra-anchors-help-distant-pairs",
        "transfer-falls-with-distance",
    }
    no_tasks = results[~results["probe"].str.startswith("transfer-")]
    for table, said in ((no_tasks, ""), (no_tasks[no_tasks["seed"].eq(1)], ", with one seed,")):
        found = {outcome.claim.id: outcome for outcome in evaluate(table, PAIRS)}
        for name in about_transfer:
            assert found[name].verdict == INCONCLUSIVE
            assert f"retrieval alone{said} does not show transfer" in found[name].lacks
        assert found["monolingual-sentences-align"].lacks == ""
    one_task = results[~results["probe"].isin(["transfer-nli", "transfer-ner"])]
    assert verdicts(one_task)["transfer-without-anchors"] == SUPPORTED


def test_where_every_finding_holds_every_claim_is_supported(results: pd.DataFrame) -> None:
    found = verdicts(results)
    assert len(found) == 14
    assert set(found.values()) == {SUPPORTED}
    assert all(outcome.measured == len(outcome.tests) for outcome in evaluate(results, PAIRS))


# Claim, variant, what is added to its scores, to which of them.
FLIPS: list[tuple[str, str, float, dict[str, Any]]] = [
    ("transfer-without-anchors", "no-anchors", -0.6, {}),
    ("anchors-matter-little", "no-anchors", -0.1, {}),
    ("anchors-matter-little", "sep-L1-6", 0.3, {}),
    ("top-layers-are-needed", "sep-emb-L1-6", 0.2, {}),
    ("top-layers-are-needed", "default", -0.6, {}),
    ("extra-anchors-help-distant-pairs", "extra-anchors", 0.2, {"pair": "aa-near"}),
    ("extra-anchors-help-distant-pairs", "extra-anchors", -0.2, {}),
    ("domain-matters-modestly", "wiki-cc", -0.2, {}),
    ("domain-matters-modestly", "wiki-cc", -0.2, {"probe": "transfer-nli"}),
    ("transfer-falls-with-distance", "default", 0.3, {"pair": "aa-far"}),
    ("transfer-falls-with-distance", "default", 0.15, {"pair": "aa-mid"}),
    ("monolingual-words-align", "monolingual", -0.75, {}),
    ("words-align-beyond-static-vectors", "monolingual", 0.5, {"probe": "lexicon-static"}),
    ("monolingual-contexts-align", "monolingual", -0.55, {}),
    ("monolingual-sentences-align", "monolingual", -0.7, {}),
    ("similarity-bilingual-monolingual-random", "monolingual", 0.2, {"probe": "similarity"}),
    ("similarity-bilingual-monolingual-random", "monolingual", -0.5, {"probe": "similarity"}),
    (
        "lower-layers-for-sentences",
        "monolingual",
        -0.5,
        {"probe": "alignment-sentences", "layer": LOWER},
    ),
    (
        "middle-layers-for-context",
        "monolingual",
        -0.5,
        {"probe": "context-parsing", "layer": MIDDLE},
    ),
]


@pytest.mark.parametrize(("claim", "variant", "by", "where"), FLIPS)
def test_moving_one_variant_flips_the_verdict(
    shifted: Shift, claim: str, variant: str, by: float, where: dict[str, Any]
) -> None:
    assert verdicts(shifted(variant, by, **where))[claim] == NOT_SUPPORTED


def test_every_claim_is_flipped_by_some_shift_or_by_no_correlation(results: pd.DataFrame) -> None:
    ids = {claim.id for claim in load_claims().claims}
    assert ids - {claim for claim, *_ in FLIPS} == {"similarity-tracks-retrieval"}
    upside_down = results.copy()
    rows = upside_down["probe"].eq("aligned-retrieval")
    upside_down.loc[rows, "value"] = 1 - upside_down.loc[rows, "value"]
    assert verdicts(upside_down)["similarity-tracks-retrieval"] == NOT_SUPPORTED


@pytest.mark.parametrize("by", [-0.3, 0.4])
def test_a_shift_of_all_variants_leaves_contrasts_between_them(
    results: pd.DataFrame, by: float
) -> None:
    moved = results.assign(value=results["value"] + by)
    for claim in ("anchors-matter-little", "extra-anchors-help-distant-pairs"):
        assert verdicts(moved)[claim] == SUPPORTED


@pytest.mark.parametrize("column", ["variant", "probe", "pair", "seed", "metric", "layer"])
def test_missing_rows_are_never_an_error(results: pd.DataFrame, column: str) -> None:
    """Without all rows of one name a claim is tested on what is left, or is not measured."""
    names = list(results[column].dropna().unique())
    for name in names[:: max(1, len(names) // 6)]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            left = results[results[column].ne(name).fillna(True)]
            for outcome in evaluate(left, PAIRS):
                assert outcome.verdict in (SUPPORTED, INCONCLUSIVE, NOT_MEASURED, NOT_SUPPORTED)


def test_without_its_variant_a_claim_is_not_measured(results: pd.DataFrame) -> None:
    for variant, lost in (
        ("wiki-cc", {"domain-matters-modestly"}),
        ("extra-anchors", {"extra-anchors-help-distant-pairs"}),
    ):
        found = verdicts(results[results["variant"].ne(variant)])
        assert {claim for claim, judged in found.items() if judged == NOT_MEASURED} == lost
    assert set(verdicts(results[results["variant"].eq("sep-emb")]).values()) == {NOT_MEASURED}
    assert set(verdicts(results.iloc[:0]).values()) == {NOT_MEASURED}


def test_a_comparison_that_is_not_made_leaves_a_claim_open(results: pd.DataFrame) -> None:
    """That default is above the baseline says nothing yet of separate layers."""
    left = results[results["variant"].ne("sep-emb-L1-6")]
    (outcome,) = [o for o in evaluate(left, PAIRS) if o.claim.id == "top-layers-are-needed"]
    assert {test.verdict for test in outcome.tests} == {SUPPORTED, NOT_MEASURED}
    assert outcome.verdict == NOT_MEASURED
    # But one that fails decides it.
    low = left.assign(value=left["value"].where(left["variant"].ne("default"), -1.0))
    assert verdicts(low)["top-layers-are-needed"] == NOT_SUPPORTED


def test_pairs_that_are_not_the_study_s_do_not_count(results: pd.DataFrame) -> None:
    assert set(verdicts(results, ()).values()) == {NOT_MEASURED}
    one = verdicts(results, ("aa-near",))
    assert one["transfer-falls-with-distance"] == NOT_MEASURED
    assert one["anchors-matter-little"] == SUPPORTED


def test_the_order_of_pairs_is_what_distance_goes_by(results: pd.DataFrame) -> None:
    backwards = verdicts(results, PAIRS[::-1])
    assert backwards["transfer-falls-with-distance"] == NOT_SUPPORTED
    assert backwards["anchors-matter-little"] == SUPPORTED


def test_a_seed_that_only_one_variant_has_does_not_count(results: pd.DataFrame) -> None:
    extra = results[results["seed"].eq(1) & results["variant"].eq("default")]
    more = pd.concat([results, extra.assign(seed=9, value=0.0)], ignore_index=True)
    for before, after in zip(evaluate(results, PAIRS), evaluate(more, PAIRS), strict=True):
        if before.claim.id == "anchors-matter-little":
            assert before == after


def test_the_paper_s_own_numbers_stand_beside(results: pd.DataFrame) -> None:
    (claim,) = (o for o in evaluate(results, PAIRS) if o.claim.id == "anchors-matter-little")
    printed = load_published().printed_difference
    costs = {test.score: test.paper for test in claim.tests if test.name.startswith("losing")}
    for label, task in (("NLI accuracy", "nli"), ("NER F1", "ner"), ("LAS", "parsing")):
        expected = printed("sep-L1-6", task)
        assert expected is not None
        assert costs[label] == pytest.approx(-expected, abs=0.0015)
    assert costs["retrieval"] is None


def test_differences_do_not_depend_on_the_level_of_scores() -> None:
    """Weights of contrasts against zero sum to zero; a sum of scores would measure the task."""
    for claim in load_claims().claims:
        for test in claim.tests:
            if isinstance(test, Contrast):
                assert sum(term.weight for term in test.terms) == pytest.approx(0)
