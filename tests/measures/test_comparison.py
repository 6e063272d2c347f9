import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from typer.testing import CliRunner

from xling.cli import app
from xling.encoders.encoder import Encoder
from xling.encoders.random_encoder import randomly_initialised
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.measures import linear_cka, rsa
from xling.measures.comparison import MEASURES, compare_layers, correlation
from xling.results import COLUMNS


def test_every_pair_of_layers_by_every_measure():
    random = np.random.default_rng(0)
    Xs, Ys = random.normal(size=(2, 60, 5)), random.normal(size=(3, 60, 5))
    found = {
        (i, j, name): value for i, j, name, value in compare_layers(Xs, Ys, ["cka", *MEASURES])
    }
    assert len(found) == 6 * (1 + len(MEASURES))
    for i, X in enumerate(Xs):
        for j, Y in enumerate(Ys):
            assert found[i, j, "cka"] == pytest.approx(linear_cka(X, Y))
            for name, measure in MEASURES.items():
                assert found[i, j, name] == pytest.approx(measure(X, Y))


def test_what_cannot_be_measured_is_left_out_with_a_reason():
    random = np.random.default_rng(0)
    X, Y = random.normal(size=(20, 4)), random.normal(size=(20, 6))
    with pytest.warns(
        UserWarning, match=r"neurons: left out for 1 of 1 pairs of layers \(.*same neurons"
    ):
        assert list(compare_layers([X], [Y], ["neurons"])) == []
    with pytest.warns(UserWarning, match="pwcca: left out"):
        assert list(compare_layers([X[:8]], [Y[:8]], ["pwcca"])) == []


def test_rsa_looks_at_a_thousand_items_at_most():
    X, Y = np.random.default_rng(0).normal(size=(2, 1999, 3))
    ((_, _, _, value),) = compare_layers([X], [Y], ["rsa"])
    assert value == pytest.approx(rsa(X[::2], Y[::2]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(4, 15))
def test_correlation_is_scipys_and_lies_in_its_interval(seed, count):
    x, noise = np.random.default_rng(seed).normal(size=(2, count))
    y = x + noise
    value, low, high = correlation(x, y, 200)
    assert value == pytest.approx(pearsonr(x, y).statistic)
    assert -1 - 1e-9 <= low <= high <= 1 + 1e-9
    assert correlation(x, y, 200) == (value, low, high)


def test_interval_is_that_of_resampled_points():
    x, noise = np.random.default_rng(0).normal(size=(2, 200))
    y = x + noise
    value, low, high = correlation(x, y, 2000)
    random = np.random.default_rng(1)
    draws = [random.integers(200, size=200) for _ in range(2000)]
    ends = np.quantile([pearsonr(x[d], y[d]).statistic for d in draws], [0.025, 0.975])
    np.testing.assert_allclose([low, high], ends, atol=0.03)
    assert low < value < high


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2], [1, 2], "at least three"),
        ([1, 2, np.nan], [1, 2, 3], "at least three finite"),
        ([1, 1, 1], [1, 2, 3], "no correlation"),
    ],
)
def test_correlations_that_say_nothing_are_refused(x, y, message):
    with pytest.raises(XlingError, match=message):
        correlation(x, y)


def test_the_verb_compares_two_folders(build, tokenizer, parallel, tmp_path):
    for name, seed in (("one", 0), ("other", 1)):
        build("bert", len(tokenizer), seed).save_pretrained(tmp_path / name)
        tokenizer.save_pretrained(tmp_path / name)
    folder = tmp_path / "data" / "parallel" / "dev"
    folder.mkdir(parents=True)
    for language in ("aa", "bb"):
        text = "\n".join(parallel[language]) + "\n"
        (folder / f"{language}.txt").write_text(text, encoding="utf-8")
    config = tmp_path / "compare.yaml"
    config.write_text("languages: [aa, bb]\nrandom_seeds: [1, 2]\nresamples: 50\n", "utf-8")
    one, other, data, out = (str(tmp_path / name) for name in ("one", "other", "data", "out"))
    words = ["similarity", one, other, "--data", data, "--out", out, "--config", str(config)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    layers = pd.read_csv(tmp_path / "out" / "layers.csv")
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    assert tuple(scores.columns) == COLUMNS
    assert (layers[layers["condition"] == "trained"]["metric"] == "cka").sum() == 16

    one, other = Encoder.load(tmp_path / "one", "aa"), Encoder.load(tmp_path / "other", "bb")
    x, y = sentence_vectors(one, parallel["aa"]), sentence_vectors(other, parallel["bb"])
    bounds = [
        sentence_vectors(
            Encoder("bb", randomly_initialised(other.body, seed), other.tokenizer), parallel["bb"]
        )
        for seed in (1, 2)
    ]
    at = layers[(layers.layer == 3) & (layers.other_layer == 1)]
    at = at.set_index(["condition", "metric"])["value"]
    assert at["trained", "cka"] == pytest.approx(linear_cka(x[3], y[1]), abs=1e-6)
    expected = np.mean([linear_cka(x[3], bound[1]) for bound in bounds])
    assert at["untrained", "cka"] == pytest.approx(expected, abs=1e-6)
    untrained = scores[scores.condition == "untrained"]
    assert set(untrained[untrained.metric == "cka"].layer) == {0, 1, 2, 3}
    scores = scores[scores.condition == "trained"]
    assert (scores[scores.layer.notna()].n == len(parallel["aa"])).all()
    same = scores[(scores.layer == 2) & (scores.metric == "cka")]["value"]
    assert same.item() == pytest.approx(linear_cka(x[2], y[2]), abs=1e-6)
    found = scores[scores.probe == "aligned-retrieval"]
    retrieval = found[found.metric == "p@1"].sort_values("layer")["value"]
    cka = scores[scores.metric == "cka"].sort_values("layer")["value"]
    (correlated,) = found[found.metric == "pearson(cka,p@1)"].to_dict("records")
    assert correlated["value"] == pytest.approx(pearsonr(cka, retrieval).statistic, abs=1e-6)
    assert correlated["low"] <= correlated["value"] <= correlated["high"]
    assert correlated["n"] == 4
