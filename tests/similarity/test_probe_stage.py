"""The stage ``probe``: any encoder, two or more languages, and what becomes of them."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from xling.cli import app
from xling.data.layout import DataFolder
from xling.encoders.encoder import Encoder
from xling.encoders.random_encoder import randomly_initialised_together
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.measures import linear_cka, precision_at_1
from xling.similarity.config import ProbeConfig
from xling.similarity.probe import probe_pair
from xling.similarity.stage import ProbeSettings, probe_model

QUICK = ProbeConfig(random_seeds=(), resamples=0)


@pytest.fixture
def model(build, tokenizer, tmp_path) -> Path:
    folder = tmp_path / "bert"
    build("bert", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def data(tmp_path, parallel) -> Path:
    """Sets ``all`` in three languages, and ``two`` of aa and bb."""
    texts = {**parallel, "cc": [line[::-1] for line in parallel["aa"]]}
    for name, languages in (("all", "abc"), ("two", "ab")):
        for language in (letter * 2 for letter in languages):
            path = tmp_path / "data" / "parallel" / name / f"{language}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(texts[language][:30]) + "\n")
    return tmp_path / "data"


def probed(model, data, *languages, **config) -> pd.DataFrame:
    settings = ProbeSettings(languages=languages, probe=QUICK.model_copy(update=config))
    out = data.parent / f"out-{len(list(data.parent.iterdir()))}"
    probe_model(model, data, out, settings)
    return pd.read_csv(out / "scores.csv")


def scores(table, probe, metric, language, dataset="all") -> list[float]:
    rows = table[(table["probe"] == probe) & (table["metric"] == metric)]
    rows = rows[(rows["language"] == language) & (rows["dataset"] == dataset)]
    if "direction" in rows:
        rows = rows[rows["direction"].isna() & (rows["condition"] == "trained")]
    return rows.sort_values("layer")["value"].tolist()


def test_an_encoder_of_many_languages_is_probed_as_by_hand(model, data, parallel):
    table = probed(model, data, "aa", "bb")
    encoder = Encoder.load(model, "aa")
    X, Y = (sentence_vectors(encoder, parallel[code][:30]) for code in ("aa", "bb"))
    expected = [linear_cka(x, y) for x, y in zip(X, Y, strict=True)]
    assert len(expected) == 4
    assert scores(table, "cka", "cka", "aa-bb") == pytest.approx(expected, abs=1e-6)
    expected = [precision_at_1(x, y).mean for x, y in zip(X, Y, strict=True)]
    assert scores(table, "retrieval", "p@1", "aa-bb") == pytest.approx(expected)


def test_its_scores_and_bounds_are_those_of_the_pair(model, data):
    config = {"random_seeds": (1, 2), "resamples": 10, "datasets": ("all",)}
    table = probed(model, data, "aa", "bb", **config)
    pair = Encoder.load(model, "aa"), Encoder.load(model, "bb")
    expected = probe_pair(*pair, DataFolder(data), ProbeConfig(**config))
    assert table["metric"].tolist() == expected["metric"].tolist()
    np.testing.assert_allclose(table["value"], expected["value"], atol=1e-9)
    assert len(table) > len(probed(model, data, "aa", "bb", datasets=("all",)))


def test_of_three_languages_every_pair_is_probed(model, data):
    three = probed(model, data, "aa", "bb", "cc")
    for pair in (("aa", "bb"), ("aa", "cc"), ("bb", "cc")):
        two = probed(model, data, *pair)
        for probe, metric in (("cka", "cka"), ("retrieval-anchor-free", "p@1-centred")):
            found = scores(three, probe, metric, "-".join(pair))
            assert len(found) == 4
            assert found == pytest.approx(scores(two, probe, metric, "-".join(pair)), abs=1e-9)
    assert len(scores(three, "cka", "cka", "aa-bb", "two")) == 4
    assert scores(three, "cka", "cka", "aa-cc", "two") == []


def test_a_pair_without_a_set_is_left_out_with_a_warning(model, data):
    with pytest.warns(UserWarning, match="no parallel set for aa-cc, bb-cc: not probed"):
        table = probed(model, data, "aa", "bb", "cc", datasets=("two",))
    assert set(table["dataset"]) == {"two"}
    assert len(scores(table, "cka", "cka", "aa-bb", "two")) == 4
    shutil.rmtree(data / "parallel" / "all")
    for sets, languages in ((None, ("aa", "cc", "dd")), (("three",), ("aa", "bb", "cc"))):
        with pytest.raises(XlingError, match=r"no set (at all|three) with two of aa, "):
            probed(model, data, *languages, datasets=sets)


def test_one_language_is_too_few(model, data):
    with pytest.raises(ValueError, match="at least 2"):
        ProbeSettings(languages=("aa",))


def test_a_model_without_an_untrained_twin_is_probed_without_that_bound(
    model, data, monkeypatch, tmp_path
):
    def refuse(models, seed):
        raise XlingError("Odd: parameter x does not follow from the model's configuration")

    path = "xling.encoders.random_encoder.randomly_initialised_together"
    monkeypatch.setattr(path, refuse)
    with pytest.warns(UserWarning, match="no untrained encoder to compare with: Odd"):
        table = probed(model, data, "aa", "bb", random_seeds=(1, 2, 3))
    pd.testing.assert_frame_equal(table, probed(model, data, "aa", "bb"))


def test_a_class_that_its_configuration_does_not_make_has_no_twin(build, tokenizer):
    model = build("bert", len(tokenizer))

    class Odd(type(model)):
        def __init__(self, config, more):
            raise AssertionError

    model.__class__ = Odd
    with pytest.raises(XlingError, match="Odd: cannot be made from its configuration"):
        randomly_initialised_together([model], 1)


def test_outputs_of_earlier_versions_stay_current_until_something_is_chosen(model, data, tmp_path):
    """Their settings did not name pooling, prefix and precision."""
    settings = ProbeSettings(languages=("aa", "bb"), probe=QUICK)
    probe_model(model, data, tmp_path / "out", settings)
    record = json.loads((tmp_path / "out" / "artefact.json").read_text())
    assert set(record["config"]["probe"]) == {
        *("datasets", "maximum_lines", "random_seeds", "resamples"),
        *("emergence_lines", "batch_tokens"),
    }
    before = (tmp_path / "out" / "scores.csv").stat().st_mtime_ns
    for changes in ({}, {"prefix": "1 "}):
        chosen = settings.model_copy(update={"probe": QUICK.model_copy(update=changes)})
        probe_model(model, data, tmp_path / "out", chosen)
        after = (tmp_path / "out" / "scores.csv").stat().st_mtime_ns
        assert (after == before) == (not changes)


def test_the_verb_needs_no_settings_file(model, data, tmp_path):
    words = ["probe", str(model), "--data", str(data), "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, [*words, "--languages", "aa, bb"]).exit_code == 0
    assert json.loads((tmp_path / "out" / "artefact.json").read_text())["config"]["languages"] == [
        "aa",
        "bb",
    ]
    for options, fault in (
        (["--languages", "aa"], "expected at least 2"),
        (["--languages", "aa,"], "is not a name"),
        (["--languages", "aa,aa"], "names a language twice"),
    ):
        found = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "new"), *options]).exception
        assert isinstance(found, XlingError)
        assert fault in str(found)
    assert not (tmp_path / "new").exists()


def test_options_override_the_file(model, data, tmp_path):
    path = tmp_path / "probe.yaml"
    path.write_text("languages: [aa, cc]\nprobe: {random_seeds: [], resamples: 0}\n")
    words = ["probe", str(model), "--data", str(data), "--out", str(tmp_path / "out")]
    words += ["--config", str(path)]
    result = CliRunner().invoke(app, [*words, "--languages", "bb,cc"])
    assert result.exit_code == 0, result.exception
    assert "bb-cc" in set(pd.read_csv(tmp_path / "out" / "scores.csv")["language"])


def test_another_tokenizer_makes_it_anew(model, data, tmp_path, build, learn_tokenizer, parallel):
    settings = ProbeSettings(languages=("aa", "bb"), probe=QUICK)
    probe_model(model, data, tmp_path / "out", settings)
    before = pd.read_csv(tmp_path / "out" / "scores.csv")
    learn_tokenizer(parallel["aa"], 80).save_pretrained(model)
    probe_model(model, data, tmp_path / "out", settings)
    assert not before.equals(pd.read_csv(tmp_path / "out" / "scores.csv"))


def test_the_folder_of_a_run_is_told_from_that_of_its_family(model, data, tmp_path):
    (tmp_path / "run" / "model").mkdir(parents=True)
    (tmp_path / "run" / "model" / "family.json").write_text("{}")
    settings = ProbeSettings(languages=("aa", "bb"), probe=QUICK)
    with pytest.raises(XlingError, match=r"run of xling pretrain; its family is .*run/model"):
        probe_model(tmp_path / "run", data, tmp_path / "out", settings)
