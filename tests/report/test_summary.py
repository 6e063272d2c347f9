"""The sentences follow from the numbers, and change with them."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest
from xling.report.summary import NOT_SHARED, PARTLY, SHARED, UNTOLD, Finding, Summary, summarise

from xling.report.load import load_study
from xling.report.scores import average, compare, split_scores
from xling.results import Score, as_table, joined, write_scores

LAYERS = range(5)


def summary_of(folder: Path) -> Summary:
    study = load_study(folder)
    return summarise(study, compare(average(split_scores(study.results))))


def rewrite(folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path = folder / "results.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(frame).to_csv(path, index=False)


def scored(
    folder: Path, above: dict[tuple[str, str, str], tuple[int, ...]], random: bool = True
) -> Finding:
    """Scores of one variant, above random at the given layers of (data set, form, measure)."""
    rows = []
    for dataset in ("pud", "tatoeba-fr"):
        for form in ("", "-anchor-free"):
            for measure in ("p@1", "p@1-centred"):
                for layer in LAYERS:
                    high = layer in above.get((dataset, form, measure), ())
                    value = (0.5 if high else 0.1) + layer / 1000
                    score = Score(f"retrieval{form}", dataset, "en-fr", "", layer, metric=measure)
                    ends = {"low": value - 0.05, "high": value + 0.05}
                    rows.append(score._replace(value=value, **ends))
                    if random:
                        rows.append(score._replace(condition="untrained", value=0.1))
    run = {"study": "demo", "variant": "default", "pair": "en-fr", "seed": 1}
    write_scores(joined([(run, as_table(rows))]), folder / "results.csv")
    return summary_of(folder).findings[0]


EVERYWHERE = {
    (dataset, form, measure): (1, 2, 3)
    for dataset in ("pud", "tatoeba-fr")
    for form in ("", "-anchor-free")
    for measure in ("p@1", "p@1-centred")
}


def only(**wanted: str) -> dict[tuple[str, str, str], tuple[int, ...]]:
    names = ("dataset", "form", "measure")
    return {
        key: layers
        for key, layers in EVERYWHERE.items()
        if all(value == wanted.get(name, value) for name, value in zip(names, key, strict=True))
    }


def test_shared_needs_both_forms_on_every_data_set(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), EVERYWHERE)
    assert finding.verdict == SHARED
    assert "a shared space shows at layers 1 to 3" in finding.answer


def test_shared_only_after_centring_says_so(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), only(measure="p@1-centred"))
    assert finding.verdict == SHARED
    assert "once each language's vectors are centred" in finding.answer


def test_shared_tokens_alone_are_only_part(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), only(form=""))
    assert finding.verdict == PARTLY
    assert "at layers 1 to 3 over all tokens" in finding.answer
    assert re.search(r"but at no layer without the shared tokens", finding.answer)


def test_one_data_set_alone_is_no_sign(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), only(dataset="pud"))
    assert finding.verdict == NOT_SHARED
    assert "12 of 40 single comparisons are above it" in finding.answer


def test_not_beating_the_random_encoder_is_said_plainly(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), {})
    assert finding.verdict == NOT_SHARED
    assert "At no layer does retrieval clearly beat an untrained encoder" in finding.answer
    assert "single comparisons" not in finding.answer


def test_without_a_random_encoder_nothing_is_claimed(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), EVERYWHERE, random=False)
    assert finding.verdict == UNTOLD
    assert "lacks an untrained encoder" in finding.answer
    sentences = [sentence for group in finding.sentences.values() for sentence in group]
    assert all("no untrained encoder to compare with" in sentence for sentence in sentences)


def test_a_variant_without_scores_is_told(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    rewrite(folder, lambda frame: frame[frame["variant"] != "no-anchors"])
    finding = summary_of(folder).findings[1]
    assert (finding.verdict, finding.sentences) == (UNTOLD, {})


def test_numbers_equal_those_of_the_table(make_study: Callable[..., Path]) -> None:
    folder = make_study(seeds=(1, 2))
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    def score(
        probe: str,
        dataset: str,
        metric: str,
        layer: int,
        condition: str = "trained",
        column: str = "value",
    ) -> float:
        wanted = ("default", probe, dataset, "", metric, str(layer), condition, "")
        keys = ("variant", "probe", "dataset", "direction", "metric", "layer", "condition", "draw")
        return mean(float(r[column]) for r in rows if tuple(r[key] for key in keys) == wanted)

    finding = summary_of(folder).findings[0]
    assert finding.verdict == SHARED
    checked = 0
    for dataset, sentences in finding.sentences.items():
        for sentence in sentences:
            probe = {
                "Retrieval": "retrieval",
                "Anchor-free": "retrieval-anchor-free",
                "CKA": "cka",
            }[sentence.split()[0]]
            metric = "cka" if probe == "cka" else "p@1"
            layer = int(re.search(r"at layer (\d+) with", sentence)[1])
            numbers = [float(x) for x in re.findall(r"\d\.\d+", sentence)]
            expected = [score(probe, dataset, metric, layer)]
            if metric == "p@1":
                expected += [
                    score(probe, dataset, "p@1", layer, column=end) for end in ("low", "high")
                ]
            expected.append(score(probe, dataset, metric, layer, "untrained"))
            if metric == "p@1":
                expected.append(score(probe, dataset, "p@1", layer, "chance"))
            assert numbers == pytest.approx(expected, abs=5.01e-4)
            assert expected[0] == max(
                score(probe, dataset, metric, other)
                for other in LAYERS
                if probe == "cka" or other > 0  # layer 0 of retrieval is below random here
            )
            checked += 1
    assert checked == 6


def test_one_seed_is_called_one_seed(make_study: Callable[..., Path]) -> None:
    certainty = " ".join(summary_of(make_study()).certainty)
    assert "Every model was trained once (seed 1)" in certainty
    assert "pud 1,000 and tatoeba-fr 860" in certainty
    assert "rest on the 39% to 100% of the running tokens" in certainty


def test_the_gap_between_seeds_is_the_largest(make_study: Callable[..., Path]) -> None:
    folder = make_study(seeds=(1, 2))
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        values: dict[tuple[str, ...], list[float]] = {}
        for row in csv.DictReader(file):
            if row["metric"].startswith("p@1") and (row["condition"], row["direction"]) == (
                "trained",
                "",
            ):
                key = (row["variant"], row["probe"], row["dataset"], row["layer"], row["metric"])
                values.setdefault(key, []).append(float(row["value"]))
    gap = max(max(pair) - min(pair) for pair in values.values())
    assert f"differs by up to {gap:.3f}" in summary_of(folder).certainty[0]


@pytest.mark.parametrize("torch", ["2.12.0", "2.11.0, 2.12.0"])
def test_scores_of_several_versions_are_told(make_study, torch):
    study = make_study(versions={"torch": torch, "xling": "0.1.0"})
    said = " ".join(summary_of(study).certainty)
    assert (f"several versions of packages (torch {torch})" in said) == (", " in torch)
