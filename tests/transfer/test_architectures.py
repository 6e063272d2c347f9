"""Families of every architecture downstream: probed, aligned, and a task learnt on them."""

import copy

import numpy as np
import pytest
import torch

from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError
from xling.model.storage import load_family
from xling.results import read_scores
from xling.similarity.config import ProbeConfig
from xling.similarity.probe import probe_lines
from xling.transfer.config import TransferConfig
from xling.transfer.context import learn_state_maps
from xling.transfer.stage import transfer

KINDS = {
    "bert-rotary": {"positions": "rotary"},
    **{name: {"architecture": name} for name in ("xlm-roberta", "modernbert", "llama")},
}
LINES = ["mira goes big", "the toma", "dorf and kalt and the mira", "kalt", "big dorf goes"]


def config(**settings) -> TransferConfig:
    quick = {"source": "aa", "targets": ["bb"], "batch_sizes": [8], "encoder_rates": [5e-3]}
    return TransferConfig.model_validate({**quick, "epochs": 8, "resamples": 20, **settings})


def scores(out):
    """Return the trained model's scores by language, layer (-1: none) and metric."""
    frame = read_scores(out / "scores.csv")
    frame = frame[frame["condition"] == "trained"]
    places = zip(frame["language"], frame["layer"].fillna(-1), frame["metric"], strict=True)
    return dict(zip(places, frame["value"], strict=True))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(kind, marks=[] if kind in ("modernbert", "llama") else pytest.mark.slow)
        for kind in KINDS
    ],
)
def folder(request, make_model):
    return make_model(**KINDS[request.param])


@pytest.fixture
def members(folder):
    return Encoders.load(folder, ("aa", "bb"))


def test_layers_are_the_hidden_states_of_the_saved_model(folder, members):
    """Opened as one of a family and as any model; layer by layer those of transformers."""
    opened = Encoder.load(folder / "aa", "aa")
    vectors = sentence_vectors(members.of["aa"], LINES)
    assert vectors.shape == (3, len(LINES), 32)
    np.testing.assert_allclose(vectors, sentence_vectors(opened, LINES), atol=1e-6)
    for number, line in enumerate(LINES):
        ids = opened.tokenizer(line, return_tensors="pt")["input_ids"]
        assert ids[0, 0] == opened.tokenizer.cls_token_id
        hidden = opened.body(ids, output_hidden_states=True).hidden_states
        for layer, states in enumerate(hidden):
            mean = states[0, 1:-1].mean(0).detach().numpy()  # neither [CLS] nor [SEP]
            np.testing.assert_allclose(vectors[layer, number], mean, atol=1e-5)


def test_it_is_probed_beside_an_untrained_twin(members):
    sets = {"lines": {"aa": LINES, "bb": LINES}}
    found = probe_lines(*members.of.values(), sets, ProbeConfig(random_seeds=(1,), resamples=20))
    retrieval = found[found["metric"] == "p@1"]
    assert set(retrieval["layer"]) == {0, 1, 2}
    models = retrieval[retrieval["condition"].isin(["trained", "untrained"])]
    assert models["condition"].nunique() == 2
    # One model: a line's translation is itself
    assert (models["value"].groupby(models["condition"]).max() == 1).all()


def test_maps_are_learnt_between_its_states(members):
    aa, bb = members.of.values()
    lines = [line.split() for line in LINES * 8]
    links = [np.stack([np.arange(len(line))] * 2, axis=1) for line in lines]
    maps = learn_state_maps(aa, bb, lines, lines, links)
    assert sorted(maps) == [0, 1, 2]
    for found in maps.values():  # the same model on both sides
        np.testing.assert_allclose(found.matrix @ found.matrix.T, np.eye(32), atol=1e-6)


def test_a_task_is_learnt_on_frozen_features(folder, data, tmp_path):
    before = copy.deepcopy(load_family(folder).state_dict())
    settings = config(
        task="ner", regime="feature", layers=(1, 2), new_layers=1, encoder_rates=[3e-3]
    )
    transfer(str(folder), data, tmp_path / "out", settings)
    found = scores(tmp_path / "out")
    for layer in (1, 2):
        assert found["aa", layer, "f1"] > 0.9
        assert found["bb", layer, "f1"] > 0.9
    after = load_family(folder).state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_all_of_it_is_fine_tuned(folder, data, tmp_path):
    transfer(str(folder), data, tmp_path / "out", config(task="ner"))
    assert scores(tmp_path / "out")["bb", -1, "f1"] > 0.9


def test_a_head_on_the_first_token_of_a_decoder_is_refused(make_model, data, tmp_path):
    folder = make_model(architecture="llama")
    with pytest.raises(XlingError, match="nli: its head reads the first token, which in a decoder"):
        transfer(str(folder), data, tmp_path / "out", config(task="nli"))
    assert not (tmp_path / "out" / "scores.csv").exists()
    # Layers that see the whole text make up for it
    settings = config(task="nli", regime="feature", layers=(1,), new_layers=1, epochs=1)
    transfer(str(folder), data, tmp_path / "feature", settings)
    assert ("bb", 1, "accuracy") in scores(tmp_path / "feature")
