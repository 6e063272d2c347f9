import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from xling.data.layout import DataFolder
from xling.encoders.coverage import CoverageWarning
from xling.encoders.encoder import Encoder
from xling.encoders.representations import sentence_vectors
from xling.encoders.sentences import shared_ids, tokenise
from xling.errors import XlingError
from xling.measures import arrays, cka, linear_cka, precision_at_1, tiles
from xling.results import COLUMNS, KEY
from xling.similarity.config import ProbeConfig
from xling.similarity.probe import probe_pair

PROBES = {"cka", "cka-anchor-free", "retrieval", "retrieval-anchor-free"}


@pytest.fixture
def data(tmp_path, parallel) -> DataFolder:
    for name, lines in (("one", slice(0, 40)), ("two", slice(20, 60))):
        folder = tmp_path / "parallel" / name
        folder.mkdir(parents=True)
        for language, text in parallel.items():
            (folder / f"{language}.txt").write_text("\n".join(text[lines]) + "\n")
    (tmp_path / "parallel" / "mono").mkdir()
    (tmp_path / "parallel" / "mono" / "aa.txt").write_text("abc\n")
    return DataFolder(tmp_path)


@pytest.fixture
def pair(build, tokenizer):
    model = build("bert", len(tokenizer))
    return Encoder("aa", model, tokenizer), Encoder("bb", model, tokenizer)


def value(frame, column="value", condition="trained", **where):
    frame = frame[(frame["condition"] == condition) & frame["draw"].isna()]
    for name, wanted in where.items():
        frame = frame[frame[name] == wanted]
    assert len(frame) == 1, where
    return frame[column].item()


def test_table_holds_every_probe_layer_direction_and_bound_once(pair, data):
    frame = probe_pair(*pair, data, ProbeConfig(random_seeds=(1, 7)))
    assert tuple(frame.columns) == COLUMNS
    assert not frame.duplicated(list(KEY)).any()
    assert np.isfinite(frame["value"]).all()
    assert set(frame["dataset"]) == {"one", "two"}
    layered = frame[frame["probe"] != "coverage"]
    assert set(layered["probe"]) == PROBES
    for (probe, _), rows in layered.groupby(["probe", "dataset"]):
        assert set(rows["layer"]) == {0, 1, 2, 3}
        metrics = ["cka"] if probe.startswith("cka") else ["p@1", "p@1-centred"]
        sources = [("trained", 0), ("untrained", 0), ("untrained", 1), ("untrained", 7)]
        expected = {(*source, metric) for source in sources for metric in metrics}
        both = rows["direction"] == ""
        assert set(rows["language"]) == {"aa-bb"}
        assert (rows["n"] == 40).all() if "retrieval" in probe else rows["n"].between(2, 40).all()
        with_interval = rows["low"].notna() & rows["high"].notna()
        if "retrieval" in probe:
            assert set(rows["direction"]) == {"aa>bb", "bb>aa", ""}
            assert (with_interval == (rows["condition"] == "trained")).all()
        else:
            assert both.all()
            assert not with_interval.any()
        for (way, _), found in rows.groupby(["direction", "layer"]):
            of_both = "retrieval" in probe and way == ""
            chance = {("chance", 0, metric) for metric in metrics} if of_both else set()
            named = zip(found["condition"], found["draw"].fillna(0), found["metric"], strict=True)
            assert set(named) == expected | chance


def test_values_are_those_of_the_parts(pair, data, parallel):
    frame = probe_pair(*pair, data, ProbeConfig(random_seeds=()))
    a, b = pair
    lines_a, lines_b = parallel["aa"][:40], parallel["bb"][:40]
    ids = shared_ids(tokenise(a, lines_a), tokenise(b, lines_b))
    for form, (ids_a, ids_b) in {"": (None, None), "-anchor-free": ids}.items():
        X, Y = sentence_vectors(a, lines_a, ids_a), sentence_vectors(b, lines_b, ids_b)
        whole = X[0].any(axis=1) & Y[0].any(axis=1)
        for layer in range(4):
            where = {"dataset": "one", "layer": layer}
            expected = linear_cka(X[layer][whole], Y[layer][whole])
            assert value(frame, probe=f"cka{form}", metric="cka", **where) == pytest.approx(
                expected
            )
            for metric, centre in (("p@1", False), ("p@1-centred", True)):
                found = precision_at_1(X[layer], Y[layer], centre)
                where |= {"probe": f"retrieval{form}", "metric": metric}
                assert value(frame, direction="aa>bb", **where) == pytest.approx(found.forward)
                assert value(frame, direction="bb>aa", **where) == pytest.approx(found.backward)
                assert value(frame, direction="", **where) == pytest.approx(found.mean)


def test_random_rows_are_those_of_an_untrained_pair(pair, data):
    frame = probe_pair(*pair, data, ProbeConfig(random_seeds=(1, 7), datasets=("one",)))
    keys = ["probe", "direction", "layer", "metric"]

    def of(condition, draw=0):
        chosen = frame["condition"].eq(condition) & frame["draw"].fillna(0).eq(draw)
        rows = frame[chosen & frame["probe"].ne("coverage")]
        return rows.set_index(keys)["value"].sort_index()

    halves = [of("untrained", draw) for draw in (1, 7)]
    pd.testing.assert_series_equal(of("untrained"), sum(halves) / 2)
    # Its first bound is the probe of a pair that was never trained, whatever the trained weights.
    assert not np.allclose(*halves)
    assert not np.allclose(halves[0], of("trained"))
    for parameter in pair[0].model.parameters():
        parameter.data.mul_(2)
    other = probe_pair(*pair, data, ProbeConfig(random_seeds=(1,), datasets=("one",)))
    first = [table[table["draw"].eq(1) & table["metric"].eq("cka")] for table in (other, frame)]
    assert len(first[0])
    np.testing.assert_array_equal(*(table["value"].to_numpy() for table in first))


def test_coverage_counts_what_the_probes_leave_out(build, tokenizer, tmp_path):
    folder = tmp_path / "parallel" / "set"
    folder.mkdir(parents=True)
    (folder / "aa.txt").write_text("1 2\na\n" + "b " * 40 + "\nc 1\n")
    (folder / "bb.txt").write_text("1 2\nu\nv\nw 3\n")
    model = build("bert", len(tokenizer), 0, 12)
    pair = Encoder("aa", model, tokenizer), Encoder("bb", model, tokenizer)
    with pytest.warns(CoverageWarning, match=r"set: truncated 1 of 4 lines in aa \(25%\) at"):
        frame = probe_pair(*pair, DataFolder(tmp_path), ProbeConfig(random_seeds=()))
    coverage = frame[frame["probe"] == "coverage"]
    assert coverage["layer"].isna().all()
    found = coverage.set_index(["language", "metric"])["value"].to_dict()
    expected = {
        ("aa-bb", "sentences"): 4,
        ("aa", "truncated"): 1,
        ("bb", "truncated"): 0,
        ("aa", "empty"): 0,
        ("bb", "empty"): 0,
        ("aa", "empty-anchor-free"): 1,
        ("bb", "empty-anchor-free"): 1,
    }
    assert {key: found[key] for key in expected} == expected
    a, b = (
        tokenise(side, (folder / f"{side.language}.txt").read_text().split("\n")[:4])
        for side in pair
    )
    shared = set(a.ids[~a.special]) & set(b.ids[~b.special])
    share = np.mean([token in shared for token in a.ids[~a.special]])
    assert found["aa", "anchor-tokens"] == pytest.approx(share)
    assert 0 < share < 1


def test_each_side_leaves_out_its_own_ids_of_the_anchors(build, learn_tokenizer, parallel, data):
    pair = []
    for language, size in (("aa", 150), ("bb", 250)):
        tokenizer = learn_tokenizer(parallel[language], size)
        pair.append(Encoder(language, build("bert", size), tokenizer))
    frame = probe_pair(*pair, data, ProbeConfig(random_seeds=(), datasets=("one",)))
    sides = [tokenise(side, parallel[side.language][:40]) for side in pair]
    for side, ids in zip(sides, shared_ids(*sides), strict=True):
        language = pair[sides.index(side)].language
        share = np.isin(side.ids[~side.special], ids).mean()
        assert value(frame, language=language, metric="anchor-tokens") == pytest.approx(share)


def test_names_and_digits_lift_a_random_encoder_but_not_without_anchors(build, tokenizer, tmp_path):
    """A bag of unrelated tokens is chance; the same with one shared number a line is not."""
    random = np.random.default_rng(0)
    folder = tmp_path / "parallel" / "numbers"
    folder.mkdir(parents=True)
    numbers = random.permutation(10**6)[:400]
    for language, letters in (("aa", "abcdef"), ("bb", "uvwxyz")):
        words = ["".join(random.choice(list(letters), size=9)) for _ in numbers]
        lines = [f"{word} {number}" for word, number in zip(words, numbers, strict=True)]
        (folder / f"{language}.txt").write_text("\n".join(lines) + "\n")
    model = build("bert", len(tokenizer))
    with torch.no_grad():  # positions tell the length of a line; take them out
        model.embeddings.position_embeddings.weight.zero_()
    pair = Encoder("aa", model, tokenizer), Encoder("bb", model, tokenizer)
    frame = probe_pair(*pair, DataFolder(tmp_path), ProbeConfig(random_seeds=()))
    where = {"direction": "", "layer": 0}
    chance = value(frame, condition="chance", probe="retrieval", metric="p@1", **where)
    assert chance == 1 / 400
    assert value(frame, probe="retrieval", metric="p@1-centred", **where) > 20 * chance
    free = {**where, "probe": "retrieval-anchor-free"}
    for metric in ("p@1", "p@1-centred"):
        assert value(frame, "low", metric=metric, **free) <= chance
        assert value(frame, metric=metric, **free) < 5 * chance


def test_fewer_lines_are_spread_over_the_set(pair, data, parallel):
    config = ProbeConfig(random_seeds=(), maximum_lines=5, resamples=0, datasets=("one",))
    frame = probe_pair(*pair, data, config)
    assert value(frame, metric="sentences") == 5
    chosen = [0, 9, 19, 29, 39]
    X, Y = (sentence_vectors(side, [parallel[side.language][i] for i in chosen]) for side in pair)
    assert value(frame, probe="cka", layer=2) == pytest.approx(linear_cka(X[2], Y[2]))
    assert frame[["low", "high"]].isna().all(axis=None)
    assert set(frame["n"].dropna()) >= {5}


def test_encoders_of_other_depth_and_width_are_compared_by_cka(build, tokenizer, data):
    from transformers import BertConfig, BertModel

    small = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=8,
        )
    )
    pair = (
        Encoder("aa", build("modernbert", len(tokenizer)), tokenizer),
        Encoder("bb", small, tokenizer),
    )
    with pytest.warns(UserWarning, match="aa has width 16 and bb 8"):
        frame = probe_pair(*pair, data, ProbeConfig(random_seeds=(1,)))
    assert set(frame["probe"]) == {"cka", "cka-anchor-free", "coverage"}
    assert set(frame["layer"].dropna()) == {0, 1}


def test_one_language_with_itself(pair, data):
    a, _ = pair
    frame = probe_pair(a, a, data, ProbeConfig(random_seeds=(), datasets=("one",)))
    assert value(frame, probe="cka", layer=1) == pytest.approx(1)
    assert set(frame["language"]) == {"aa", "aa'", "aa-aa'"}
    assert set(frame["direction"]) == {"", "aa>aa'", "aa'>aa"}
    # Everything is shared, so nothing is left to average.
    assert value(frame, language="aa", metric="anchor-tokens") == 1
    assert "cka-anchor-free" not in set(frame["probe"])
    free = frame[frame["probe"] == "retrieval-anchor-free"]
    free = free[(free["metric"] == "p@1") & (free["condition"] == "trained")]
    assert len(free)
    assert (free["value"] == 0).all()


def test_wrong_requests_are_refused(pair, data):
    with pytest.raises(XlingError, match=r"no set three with aa and bb \(there are: one, two\)"):
        probe_pair(*pair, data, ProbeConfig(datasets=("one", "three")))
    stranger = Encoder("cc", pair[1].model, pair[1].tokenizer)
    with pytest.raises(XlingError, match=r"no set has aa and cc; .* its sets are mono, one"):
        probe_pair(pair[0], stranger, data, ProbeConfig())
    with pytest.raises(ValidationError):
        ProbeConfig(maximum_line=5)


def test_a_model_that_diverged_is_refused(pair, data):
    pair[0].model.encoder.layer[1].output.dense.weight.data[0, 0] = float("nan")
    with pytest.raises(XlingError, match="aa: layer 2 gives NaN or infinity for"):
        probe_pair(*pair, data, ProbeConfig(random_seeds=()))


def test_influence_values_err_as_the_intervals_say(pair, data):
    influence = {}
    frame = probe_pair(*pair, data, ProbeConfig(random_seeds=(1, 7)), influence)
    of_random = {key for key in influence if key.condition == "untrained"}
    assert len(of_random) == len(influence) / 2
    for key, values in influence.items():
        assert values.mean() == pytest.approx(0, abs=1e-12)
        where = {name: part for name, part in zip(KEY, key, strict=True) if name != "draw"}
        assert value(frame, "n", **where) == len(values)
        if key.condition == "untrained":
            continue
        low, high = (value(frame, end, **where) for end in ("low", "high"))
        error = values.std() / np.sqrt(len(values))
        assert high - low == pytest.approx(2 * 1.96 * error, rel=0.25, abs=0.01)


@pytest.mark.parametrize("pooling", ["first", "last", "weighted"])
def test_pooling_and_prefix_are_those_of_the_vectors(pair, data, parallel, pooling):
    config = ProbeConfig(
        datasets=("one",), random_seeds=(), resamples=0, pooling=pooling, prefix="12 "
    )
    frame = probe_pair(*pair, data, config)
    x, y = (
        sentence_vectors(side, parallel[side.language][:40], pooling=pooling, prefix="12 ")
        for side in pair
    )
    for layer in range(4):
        cka = value(frame, probe="cka", metric="cka", layer=layer)
        assert cka == pytest.approx(linear_cka(x[layer], y[layer]))
        found = value(frame, probe="retrieval", metric="p@1", layer=layer, direction="")
        assert found == pytest.approx(precision_at_1(x[layer], y[layer]).mean)
    plain = probe_pair(*pair, data, ProbeConfig(datasets=("one",), random_seeds=(), resamples=0))
    assert value(plain, probe="cka", layer=3) != value(frame, probe="cka", layer=3)
    # Of one token nothing can be left out.
    assert set(frame["probe"]) == (
        {"coverage", *PROBES} if pooling == "weighted" else {"coverage", "cka", "retrieval"}
    )
    assert ("empty-anchor-free" in set(frame["metric"])) == (pooling == "weighted")


def test_half_precision_changes_scores_a_little(pair, data):
    quick = {"datasets": ("one",), "random_seeds": (), "resamples": 0}
    single, half = (
        probe_pair(*pair, data, ProbeConfig(**quick, precision=name))["value"].to_numpy()
        for name in ("fp32", "bf16")
    )
    assert 0 < np.abs(single - half).max() < 0.1


def test_products_are_taken_where_the_model_runs(pair, data, monkeypatch):
    """A torch device stands for the model's GPU; it gets every product, and changes no score."""
    config = ProbeConfig(datasets=("one",), random_seeds=(1,), resamples=20)
    expected = probe_pair(*pair, data, config)
    asked = []

    def moved(array, device):
        asked.append(device)
        return arrays.to_device(array, device)

    for module in (cka, tiles):
        monkeypatch.setattr(module, "to_device", moved)
    monkeypatch.setattr("xling.similarity.probe.measuring_device", lambda device: device)
    found = probe_pair(*pair, data, config)
    assert len(asked) > 50
    assert set(asked) == {torch.device("cpu")}
    for column in ("value", "low", "high"):
        np.testing.assert_allclose(found[column], expected[column], atol=2e-7, err_msg=column)
