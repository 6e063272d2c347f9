"""Two studies compared: intervals against scipy, and what the text and the file say."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from xling.errors import XlingError
from xling.influence import write_influence
from xling.results import RESULT_COLUMNS, Score, as_table, joined, write_scores
from xling.study.compare import compare_studies, differences, settings_that_differ

PLACE = Score("retrieval", "heldout", "en-fr", "en>fr", 2, metric="p@1")


def score(value, variant="default", seed=1, **changes):
    run = {"study": "s", "variant": variant, "pair": "en-fr", "seed": seed}
    return run, as_table([PLACE._replace(value=value, **changes)])


def table(*rows) -> pd.DataFrame:
    return joined(rows)


@pytest.fixture
def study(tmp_path):
    """Return a function that writes a study's folder with its results."""

    def write(folder: str, *rows, versions=None, **config):
        path = tmp_path / folder
        path.mkdir(exist_ok=True)
        write_scores(table(*rows), path / "results.csv")
        described = {"config": config, "versions": versions or {"torch": "2.9"}}
        (path / "study.json").write_text(json.dumps(described))
        return path

    return write


def one(a, b, *influence):
    (row,) = differences(table(*a), table(*b), *influence).to_dict("records")
    return row


def test_with_several_seeds_the_interval_is_scipy_s_of_pairs():
    a, b = np.random.default_rng(0).normal(size=(2, 5))
    sides = ([score(value, seed=seed) for seed, value in enumerate(side)] for side in (a, b))
    found = one(*sides)
    expected = stats.ttest_rel(b, a).confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))
    assert found["basis"] == "seeds"


def test_with_one_seed_the_interval_is_that_of_the_same_test_items(study, tmp_path):
    rng = np.random.default_rng(1)
    hits = rng.random((2, 200)) < np.array([[0.4], [0.6]])
    folders = []
    for name, found in zip("ab", hits.astype(float), strict=True):
        folder = study(name, score(found.mean()))
        described = json.loads((folder / "study.json").read_text())
        described["runs"] = [
            {"variant": "default", "pair": "en-fr", "seed": 1, "scores": ["probe/x"]}
        ]
        (folder / "study.json").write_text(json.dumps(described))
        write_influence(folder / "probe/x", {PLACE.key: found - found.mean()})
        folders.append(folder)
    compare_studies(*folders, tmp_path / "out.csv")
    found = pd.read_csv(tmp_path / "out.csv").iloc[0]
    paired = hits[1].astype(float) - hits[0]
    half = stats.norm.ppf(0.975) * stats.sem(paired)
    assert (found["low"], found["high"]) == pytest.approx(
        (paired.mean() - half, paired.mean() + half), rel=1e-5
    )


def test_what_the_interval_rests_on():
    with_ends = score(0.3, low=0.2, high=0.4)
    items = one([with_ends], [score(0.5, seed=1)])
    assert (items["basis"], items["difference"]) == ("nothing", pytest.approx(0.2))
    items = one([with_ends], [with_ends])
    assert (items["basis"], items["equal"]) == ("test items (one seed)", True)
    assert (items["low"], items["high"]) == pytest.approx((-0.1 * 2**0.5, 0.1 * 2**0.5))
    paired = one(
        [score(0.1, seed=1), score(0.5, seed=2), score(0.9, seed=3)],
        [score(0.2, seed=1), score(0.7, seed=2)],
    )
    assert (paired["basis"], paired["equal"]) == ("seeds", False)
    assert (paired["a"], paired["b"]) == pytest.approx((0.3, 0.45))
    apart = one([score(0.1, seed=1), score(0.3, seed=2)], [score(0.5, seed=3)])
    assert (apart["basis"], apart["difference"]) == ("nothing", pytest.approx(0.3))
    assert np.isnan(apart["low"])


def test_scores_of_other_conditions_and_draws_are_other_scores():
    a = table(score(1), score(2, condition="untrained"), score(3, condition="untrained", draw=1))
    found = differences(a, table(score(1), score(5, condition="untrained", draw=1)))
    assert list(found["condition"]) == ["untrained", "trained", "untrained"]
    assert list(found["basis"]) == ["nothing", "nothing", "only in A"]
    assert list(found["difference"])[:2] == [2, 0]
    assert list(found["draw"].fillna(0)) == [1, 0, 0]


def test_the_largest_changes_come_first_and_what_is_alone_last():
    a = table(score(0.1, layer=1), score(0.1, layer=2), score(0.1, layer=3), score(1, "x"))
    b = table(score(0.2, layer=1), score(0.1, layer=2), score(-0.4, layer=3), score(1, "y"))
    found = differences(a, b)
    assert list(found["layer"]) == [3, 1, 2, 2, 2]
    assert list(found["basis"]) == ["nothing"] * 3 + ["only in A", "only in B"]
    assert found["difference"].tolist()[:3] == pytest.approx([-0.5, 0.1, 0])


def test_equal_studies_say_so(study):
    rows = [score(0.25), score(0.5, layer=None), score(0.5, seed=2)]
    a, b = study("a", *rows, seeds=[1]), study("b", *reversed(rows), seeds=[1])
    text = compare_studies(a, b, None)
    assert "settings: the same" in text
    assert "versions: the same" in text
    assert "every score is equal (2)" in text
    assert "largest" not in text
    # The smallest difference that a file holds is a difference.
    c = study("c", score(np.nextafter(0.25, 1)), *rows[1:], seeds=[1])
    assert "1 of 2 in both differ" in compare_studies(a, c, None)


def test_the_text_and_the_file(study, tmp_path):
    pretraining = {"steps": 10, "rows": 4}
    many = [score(0.5, layer=layer) for layer in range(20)]
    a = study("a", *many, score(0.1, "sep"), title="x", pretraining=pretraining)
    changed = [score(0.5 + layer / 100, layer=layer) for layer in range(20)]
    b = study(
        "b",
        *changed,
        title="y",
        pretraining={**pretraining, "steps": 20},
        seeds=[3],
        versions={"torch": "2.10"},
    )
    out = tmp_path / "new" / "differences.csv"
    text = compare_studies(a, b, out)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "pretraining.steps 10 20" in lines
    assert "seeds - [3]" in lines
    assert "torch 2.9 2.10" in lines
    assert not any(line.startswith("title") for line in lines)
    assert "19 of 20 in both differ" in text
    assert "default en-fr heldout en>fr trained p@1 19 0.500 0.690 +0.190" in lines
    assert f"and 7 more in {out}" in lines
    assert "sep en-fr retrieval 1 scores" in lines
    written = pd.read_csv(out)
    assert len(written) == 21
    assert written["difference"].tolist()[:2] == pytest.approx([0.19, 0.18])
    assert "every score that is in both" in compare_studies(
        a, study("c", *many, score(1, "y"), pretraining=pretraining), None
    )


def test_nothing_in_common(study):
    text = compare_studies(study("a", score(1)), study("b", score(1, "other")), None)
    assert "no score is in both" in text


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("results.csv", None, r"b: holds no results\.csv; .*xling report"),
        ("results.csv", "", r"b/results\.csv: not a readable CSV file"),
        ("results.csv", "variant,pair\nx,y\n", r"b/results\.csv: column study, seed, .* missing"),
        ("results.csv", ",".join(RESULT_COLUMNS) + "\n", "has no scores yet"),
        ("study.json", None, r"b/study\.json: not found"),
        ("study.json", "{", r"b/study\.json: not valid JSON"),
    ],
)
def test_folders_without_results(study, name, content, fault):
    a, b = study("a", score(1)), study("b", score(1))
    (b / name).unlink()
    if content is not None:
        (b / name).write_text(content)
    with pytest.raises(XlingError, match=fault):
        compare_studies(a, b, None)
    with pytest.raises(XlingError, match=fault):
        compare_studies(b, a, None)


def test_settings_are_compared_by_key():
    a = {"x": {"y": 1, "z": [1]}, "only": None, "same": {"k": 2}}
    b = {"x": {"y": 2, "z": [1]}, "new": 3, "same": {"k": 2}}
    assert list(settings_that_differ(a, b)) == [("x.y", 1, 2), ("new", None, 3)]
