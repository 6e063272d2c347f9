"""The top of the page: its numbers are those of the table of results."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pandas as pd
import pytest

from xling.report.headline import Dots, Headline, draw_dots, headline
from xling.report.load import load_study
from xling.report.scores import average, compare, split_scores

SVG = "{http://www.w3.org/2000/svg}"


def headline_of(folder: Path) -> Headline | None:
    study = load_study(folder)
    comparison = compare(average(split_scores(study.results)))
    return headline(study, comparison, find_shared_spaces(study, comparison))


def scores(folder: Path, variant: str) -> tuple[float, float]:
    """Centred retrieval over all tokens on the first set: trained, and untrained at that layer.

    The mean over pairs of the best layer, among those whose interval lies above every untrained
    encoder and chance if there are any.
    """
    rows = pd.read_csv(folder / "results.csv", keep_default_na=False)
    rows = rows[
        rows["probe"].eq("retrieval")
        & rows["dataset"].eq("pud")
        & rows["metric"].eq("p@1-centred")
        & rows["variant"].eq(variant)
        & rows["direction"].eq("")
    ]
    rows = rows.assign(value=rows["value"].astype(float))
    found = []
    for _, of_pair in rows.groupby("pair"):
        layers = {}
        for layer, at in of_pair.groupby("layer"):
            trained = at[at["condition"].eq("trained")]
            untrained = at[at["condition"].eq("untrained")]
            bound = max(untrained.loc[untrained["draw"].ne(""), "value"].max(), 0.001)
            above = (trained["low"].astype(float).min(), trained["value"].min()) > (bound, bound)
            mean = untrained.loc[untrained["draw"].eq(""), "value"].mean()
            layers[layer] = (above, trained["value"].mean(), mean)
        found.append(max(layers.values())[1:])
    trained, untrained = (sum(numbers) / len(numbers) for numbers in zip(*found, strict=True))
    return trained, untrained


def test_each_number_is_that_of_the_best_layer(make_study):
    folder = make_study()
    found = headline_of(folder)
    assert found is not None
    first, second, third = found.sentences
    assert first.startswith("Without a common token (no-anchors), en and fr do not measurably")
    assert f"for {100 * scores(folder, 'no-anchors')[0]:.1f} % (" in first
    assert f"({100 * scores(folder, 'no-anchors')[1]:.1f} % before" in first
    assert "0.1 % by chance" in first
    assert second.startswith("With 61.0 % of the running tokens in common (default), it is ")
    assert f"it is {100 * scores(folder, 'default')[0]:.1f} % (" in second
    assert f"({100 * scores(folder, 'default')[1]:.1f} % before" in second
    assert third == (
        "This rests on 1 seed per variant; no task was measured, so nothing here shows transfer."
    )
    for label in ("default", "default, measured without the shared tokens", "no-anchors"):
        assert f"{label}: " in found.description


def test_pairs_are_averaged_and_counted(two_pairs):
    found = headline_of(two_pairs)
    assert found is not None
    assert "0 of 2 pairs share a space" in found.sentences[0]
    mean = 100 * scores(two_pairs, "no-anchors")[0]
    assert f"for {mean:.1f} % of the sentences of pud" in found.sentences[0]
    assert "2 seeds per variant and pair" in found.sentences[2]


@pytest.mark.parametrize("probe", ["transfer-ner", "context-ner"])
def test_lines_cut_at_the_limit_and_tasks_are_told(make_study, probe):
    folder = make_study()
    frame = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    of_coverage = frame[frame["metric"].eq("sentences")]
    cut = [
        of_coverage.assign(metric="truncated", language=language, value=lines)
        for language, lines in (("en", "290"), ("fr", "330"))
    ]
    task = of_coverage.assign(probe=probe, metric="f1", value="0.5")
    pd.concat([frame, *cut, task]).to_csv(folder / "results.csv", index=False)
    found = headline_of(folder)
    assert found is not None
    assert found.sentences[-1].startswith("This rests on 1 seed per variant; 29 to 33 % of ")
    assert "no task" not in found.sentences[-1]


def test_without_retrieval_there_is_none(make_study):
    folder = make_study()
    frame = pd.read_csv(folder / "results.csv", dtype=str, keep_default_na=False)
    frame[~frame["probe"].str.startswith("retrieval")].to_csv(folder / "results.csv", index=False)
    assert headline_of(folder) is None


def test_a_study_without_reports_of_vocabularies_still_has_one(make_study):
    folder = make_study(variants=("default",))
    for report in folder.rglob("report.json"):
        report.write_text(json.dumps({}))
    found = headline_of(folder)
    assert found is not None
    assert found.sentences[0].startswith("In default, en and fr ")


@pytest.mark.parametrize("report", ["[1]", '{"anchors": 3}', '{"anchors": [3, {}]}'])
def test_a_damaged_report_of_a_vocabulary_says_nothing(make_study, report):
    folder = make_study(variants=("default",))
    for path in folder.rglob("report.json"):
        path.write_text(report)
    found = headline_of(folder)
    assert found is not None
    assert found.sentences[0].startswith("In default, ")


def test_separate_vocabularies_have_no_common_token(make_study):
    folder = make_study(variants=("default",))
    for path in folder.rglob("report.json"):
        path.write_text('{"vocabulary": {"kind": "separate"}, "anchors": []}')
    found = headline_of(folder)
    assert found is not None
    assert found.sentences[0].startswith("Without a common token (default), en and fr ")


def test_every_variant_has_a_row(make_study):
    variants = ("default", *(f"variant-{n}" for n in range(14)))
    found = headline_of(make_study(variants=variants))
    assert found is not None
    assert found.description.count("%") == 2 * len(variants)


@pytest.mark.parametrize("ends", [(None, None), (0.4, 0.6)])
def test_dots_stand_where_the_numbers_are(ends):
    picture = ElementTree.fromstring(draw_dots([Dots("<b> & co", 0.5, 0.25, *ends)], chance=0.001))
    open_dot, full_dot = [
        float(dot.get("cx"))
        for radius in ("6", "7")
        for dot in picture.iter(f"{SVG}circle")
        if dot.get("r") == radius and float(dot.get("cy")) > 60
    ]
    axis = {text.text: float(text.get("x")) for text in picture.iter(f"{SVG}text")}
    assert (open_dot, full_dot) == (axis["25 %"], axis["50 %"])
    assert "<b> & co" in axis
    intervals = [path for path in picture.iter(f"{SVG}path") if path.get("fill") == "none"]
    assert len(intervals) == (ends[0] is not None)
