"""Verdicts follow from the scores and change with them; tables hold the scores."""

import csv
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pandas as pd
import pytest

from xling.formatting import score as formatted
from xling.report.coverage import coverage_table, cut_lines
from xling.report.load import Study, load_study
from xling.report.page import other_table
from xling.report.retrieval import (
    MARKS,
    NOT_SHARED,
    PARTLY,
    SHARED,
    UNTOLD,
    Finding,
    find_shared_spaces,
    how_sure,
    layer_tables,
    variant_tables,
)
from xling.report.scores import average, by_seed, compare, split_scores
from xling.report.tables import Table
from xling.results import Score, as_table, joined, write_scores

LAYERS = range(5)


def comparison_of(study: Study) -> pd.DataFrame:
    return compare(average(split_scores(study.results)))


def findings(folder: Path) -> tuple[Finding, ...]:
    study = load_study(folder)
    return find_shared_spaces(study, comparison_of(study))


def certainty(folder: Path) -> list[str]:
    study = load_study(folder)
    return how_sure(study, comparison_of(study))


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
    return findings(folder)[0]


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
    assert (finding.verdict, finding.where) == (SHARED, ("layers 1 to 3",))


def test_shared_only_after_centring_says_so(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), only(measure="p@1-centred"))
    assert (finding.verdict, finding.where) == (SHARED, ("layers 1 to 3 after centring",))


def test_both_forms_at_different_layers_are_both_named(make_study: Callable[..., Path]) -> None:
    apart = {key: (1,) if key[1] else (2, 3) for key in only(measure="p@1")}
    finding = scored(make_study(), apart)
    assert finding.verdict == SHARED
    assert finding.where == ("all tokens: layers 2 and 3", "anchor-free: layer 1")


def test_shared_tokens_alone_are_only_part(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), only(form=""))
    assert finding.verdict == PARTLY
    assert finding.where == (
        "all tokens: layers 1 to 3",
        "all tokens, centred: layers 1 to 3",
    )


def test_one_data_set_alone_is_no_sign(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), only(dataset="pud"))
    assert (finding.verdict, finding.where) == (NOT_SHARED, ("12 of 40 scores above",))


def test_nothing_above_is_not_shared(make_study: Callable[..., Path]) -> None:
    assert scored(make_study(), {}) == Finding("default", "en-fr", NOT_SHARED)


def test_without_a_random_encoder_nothing_is_claimed(make_study: Callable[..., Path]) -> None:
    finding = scored(make_study(), EVERYWHERE, random=False)
    assert (finding.verdict, finding.where) == (UNTOLD, ("no untrained encoder",))


def test_a_variant_without_scores_is_told(make_study: Callable[..., Path]) -> None:
    folder = make_study()
    rewrite(folder, lambda frame: frame[frame["variant"] != "no-anchors"])
    finding = findings(folder)[1]
    assert (finding.verdict, finding.where) == (UNTOLD, ("no scores",))


def tables_of_variants(folder: Path) -> list[Table]:
    study = load_study(folder)
    split = split_scores(study.results)
    comparison = compare(average(split))
    found = find_shared_spaces(study, comparison)
    return variant_tables(study, by_seed(split), comparison, found, cut_lines(study.results))


def test_every_number_of_the_variants_is_that_of_the_best_layer(
    make_study: Callable[..., Path],
) -> None:
    folder = make_study(seeds=(1, 2))
    with open(folder / "results.csv", encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if not row["direction"] and not row["draw"]]

    def score(
        of: tuple[str, ...], probe: str, metric: str, layer: int, condition: str, column: str
    ) -> float:
        wanted = (*of, probe, metric, str(layer), condition)
        keys = ("variant", "dataset", "probe", "metric", "layer", "condition")
        return mean(float(r[column]) for r in rows if tuple(r[key] for key in keys) == wanted)

    checked = 0
    for table, dataset in zip(tables_of_variants(folder), ("pud", "tatoeba-fr"), strict=True):
        assert table.columns[3:] == ("retrieval", "retrieval, anchor-free", "CKA", "lines cut")
        for row in table.rows:
            of = row[1].text, dataset
            at = None
            for cell, probe in zip(
                row[3:6], ("retrieval", "retrieval-anchor-free", "cka"), strict=True
            ):
                metric = "cka" if probe == "cka" else "p@1-centred"
                (layer,) = [int(n[6]) for n in cell.notes if n.startswith("layer")]
                at = layer if at is None else at
                values = [score(of, probe, metric, n, "trained", "value") for n in LAYERS]
                assert values[layer] == (values[at] if probe == "cka" else max(values))
                assert cell.text == formatted(values[layer])
                bound = score(of, probe, metric, layer, "untrained", "value")
                assert f"layer {layer}, untrained {formatted(bound)}" in cell.notes
                if probe != "cka":
                    low, high = (
                        score(of, probe, metric, layer, "trained", end) for end in ("low", "high")
                    )
                    assert f"[{formatted(low)}, {formatted(high)}]" in cell.notes
                checked += 1
    assert checked == 2 * 2 * 3


def test_the_share_of_lines_cut_stands_beside_the_scores(make_study: Callable[..., Path]) -> None:
    folder = make_study()

    def with_cut(frame: pd.DataFrame) -> pd.DataFrame:
        lines = frame[frame["metric"].eq("sentences") & frame["dataset"].eq("pud")]
        cut = [
            lines.assign(metric="truncated", language=language, value=number)
            for language, number in (("en", "290"), ("fr", "4"))
        ]
        return pd.concat([frame, *cut])

    rewrite(folder, with_cut)
    pud, tatoeba = tables_of_variants(folder)
    assert {row[-1].text for row in pud.rows} == {"0.4 to 29\u00a0%"}
    assert {row[-1].text for row in tatoeba.rows} == {"–"}
    study = load_study(folder)
    layers = layer_tables(comparison_of(study), "en-fr", cut_lines(study.results))
    assert {row[-1].text for row in layers[0].rows} == {"0.4 to 29\u00a0%"}


def test_tables_by_layer_mark_every_score(make_study: Callable[..., Path]) -> None:
    study = load_study(make_study(seeds=(1, 2)))
    comparison = comparison_of(study)
    tables = layer_tables(comparison, "en-fr", cut_lines(study.results))
    assert [table.caption for table in tables] == [
        f"{name} on {dataset} by layer, en-fr"
        for name in ("Retrieval", "CKA")
        for dataset in ("pud", "tatoeba-fr")
    ]
    index = ["dataset", "variant", "tokens", "measure", "layer"]
    scores = comparison.set_index(index)
    measures = {"retrieval": "p@1", "retrieval, centred": "p@1-centred", "CKA": "cka"}
    checked = 0
    for table in tables:
        dataset = table.caption.split()[2]
        for row in table.rows:
            variant, tokens, measure = (cell.text for cell in row[:3])
            for layer, cell in enumerate(row[3:8]):
                score = scores.loc[(dataset, variant, tokens, measures[measure], layer)]
                assert cell.kind == score["standing"]
                assert cell.text == f"{formatted(score['value'])} {MARKS[cell.kind]}"
                assert f"untrained {formatted(score['random'])}" in cell.notes
                checked += 1
    assert checked == len(comparison)


def test_one_seed_is_called_one_seed(make_study: Callable[..., Path]) -> None:
    said = " ".join(certainty(make_study()))
    assert "Every model was trained once (seed 1)" in said
    assert "pud 1,000 and tatoeba-fr 860" in said
    assert "use 39% to 100% of the running tokens" in said


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
    assert f"differs by up to {gap:.3f}" in certainty(folder)[0]


@pytest.mark.parametrize("torch", ["2.12.0", "2.11.0, 2.12.0"])
def test_scores_of_several_versions_are_told(make_study, torch):
    study = make_study(versions={"torch": torch, "xling": "0.1.0"})
    said = " ".join(certainty(study))
    assert (f"several versions of packages (torch {torch})" in said) == (", " in torch)


def texts(table: Table, row: int = 0) -> list[str]:
    return [cell.text for cell in table.rows[row]]


def test_scores_without_a_place_of_their_own_are_shown(make_study: Callable[..., Path]) -> None:
    study = load_study(make_study(seeds=(1, 2)))
    assert other_table(study.results) is None
    score = Score("nli", "xnli", "fr", condition="untrained", metric="accuracy", value=0.614)
    run = {"study": "demo", "variant": "default", "pair": "en-fr", "seed": 1}
    frame = joined([(run, as_table([score]))])
    table = other_table(pd.concat([study.results, frame], ignore_index=True))
    assert [text for text in texts(table) if text] == [
        *("default", "en-fr", "1", "nli", "xnli", "fr", "untrained", "accuracy", "0.614"),
    ]
    assert len(table.columns) == len(texts(table)) == 12


def test_coverage(make_study: Callable[..., Path]) -> None:
    study = load_study(make_study(seeds=(1, 2)))
    table = coverage_table(study.results)
    assert texts(table, 0)[2:] == ["1, 2", "pud", "en-fr", "1,000", "–"]
    assert texts(table, 1)[4:] == ["en", "–", "61.0%"]
    assert coverage_table(study.results[study.results["probe"].ne("coverage")]) is None
