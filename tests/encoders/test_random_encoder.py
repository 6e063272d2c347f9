import copy

import pytest
import torch

from xling.encoders.random_encoder import randomly_initialised, randomly_initialised_together
from xling.errors import XlingError


def flat(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("kind", ["bert", "bert-mlm", "xlm-r", "modernbert", "distilbert"])
def test_weights_are_a_pure_function_of_the_seed(kind, build):
    model = build(kind, 50)
    state = torch.get_rng_state()
    one = randomly_initialised(model, 1)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(99)
    again = randomly_initialised(build(kind, 50, 5), 1)
    assert torch.equal(flat(one), flat(again))
    assert not torch.equal(flat(one), flat(randomly_initialised(model, 2)))
    torch.set_rng_state(state)


@pytest.mark.parametrize("kind", ["bert", "bert-mlm", "xlm-r", "modernbert", "distilbert"])
def test_same_shapes_but_never_trained(kind, build):
    model = build(kind, 50)
    trained = flat(model).clone()
    fresh = randomly_initialised(model, 1)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert {name: tuple(value.shape) for name, value in fresh.state_dict().items()} == shapes
    assert torch.equal(trained, flat(model))
    for name, parameter in fresh.named_parameters():
        original = model.get_parameter(name)
        assert parameter is not original
        if parameter.ndim == 2:
            assert not torch.equal(parameter, original)
            assert parameter.std() < 0.1  # the initialisation's 0.02, not the trained 0.3
    assert not fresh.training


def shared_names(one, other):
    pairs = dict(other.named_parameters(remove_duplicate=False))
    return {
        name
        for name, value in one.named_parameters(remove_duplicate=False)
        if value is pairs.get(name)
    }


def pair_with_shared_parts(build, size_b=50):
    """Two masked-LM models that hold the same layers 1 and 2 and the same position table."""
    a, b = build("bert-mlm", 50, 1), build("bert-mlm", size_b, 2)
    b.bert.encoder.layer[1] = a.bert.encoder.layer[1]
    b.bert.encoder.layer[2] = a.bert.encoder.layer[2]
    b.bert.embeddings.position_embeddings = a.bert.embeddings.position_embeddings
    return a, b


@pytest.mark.parametrize("size_b", [50, 70])
@pytest.mark.parametrize("body", [False, True])
def test_random_pair_shares_what_the_trained_pair_shares(build, size_b, body):
    models = pair_with_shared_parts(build, size_b)
    if body:
        models = [model.base_model for model in models]
    fresh = randomly_initialised_together(models, 1)
    expected = shared_names(*models)
    constant = {
        name
        for name, value in fresh[0].named_parameters(remove_duplicate=False)
        if value.numel() > 1 and value.min() == value.max()
    }
    assert len(expected) > 30
    assert shared_names(*fresh) - constant == expected - constant
    assert expected <= shared_names(*fresh)
    separate = "encoder.layer.0.attention.self.query.weight"
    name = separate if body else "bert." + separate
    assert not torch.equal(fresh[0].get_parameter(name), fresh[1].get_parameter(name))


def test_ties_within_a_model_survive(build):
    a, b = pair_with_shared_parts(build)
    for model in randomly_initialised_together([a, b], 1):
        decoder, table = model.cls.predictions.decoder, model.bert.embeddings.word_embeddings
        assert decoder.weight is table.weight


def test_one_model_for_both_languages_gives_one_random_model(build):
    model = build("bert", 50)
    one, other = randomly_initialised_together([model, model], 1)
    assert one is other


def test_the_same_folder_opened_twice_counts_as_shared(build):
    model = build("bert", 50)
    one, other = randomly_initialised_together([model, copy.deepcopy(model)], 1)
    names = {name for name, _ in model.named_parameters()}
    assert shared_names(one, other) == names


def test_separate_models_stay_separate(build):
    one, other = randomly_initialised_together([build("bert", 50, 1), build("bert", 50, 2)], 1)
    for name in ("embeddings.word_embeddings.weight", "encoder.layer.2.output.dense.weight"):
        assert not torch.equal(one.get_parameter(name), other.get_parameter(name))


def test_a_model_its_configuration_does_not_describe_is_refused(build):
    model = build("bert", 50)
    model.embeddings.word_embeddings = torch.nn.Embedding(60, 16)
    with pytest.raises(XlingError, match=r"embeddings\.word_embeddings\.weight \(60, 16\)"):
        randomly_initialised(model, 1)
