"""Whose parameters and state a step changes, and by how much."""

import copy

import pytest
import torch

from xling.pretraining.config import OptimizerConfig
from xling.pretraining.distributed import World
from xling.pretraining.loop import forward_backward
from xling.pretraining.optimizer import FamilyOptimizer

HERE = World(0, 1, torch.device("cpu"))


def steps_of(maker, language, count):
    return [k for k in range(maker.config.steps) if maker.language(k) == language][:count]


def train_on(family, optimizer, maker, steps):
    for step in steps:
        forward_backward(family, maker.batch(step), maker.config, HERE, step)
        optimizer.step(step)


@pytest.mark.parametrize("separate", [["embeddings", "layers 1"], ["layers 2.attention", "head"]])
@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_a_step_on_one_language_leaves_the_other_s_parts_alone(maker, family, name, separate):
    maker = maker(steps=60)
    family = family(*separate)
    decay = {} if name == "adam" else {"weight_decay": 0.1}
    config = OptimizerConfig(name=name, learning_rate=1e-2, warmup_steps=0, **decay)
    optimizer = FamilyOptimizer(family, config, 60)
    train_on(family, optimizer, maker, steps_of(maker, "aa", 2) + steps_of(maker, "bb", 2))

    names = {id(p): name for name, p in family.named_parameters()}
    others = {names[id(p)] for p in family.private_parameters("bb").values()}
    assert others
    weights = {name: p.detach().clone() for name, p in family.named_parameters()}
    state = {name: value.clone() for name, value in optimizer.state_tensors().items()}
    train_on(family, optimizer, maker, steps_of(maker, "aa", 5)[2:])

    for name, parameter in family.named_parameters():
        assert torch.equal(parameter, weights[name]) == (name in others), name
    after = optimizer.state_tensors()
    assert after.keys() == state.keys()
    for path, value in after.items():
        owner = path.rpartition("/")[0]
        assert torch.equal(value, state[path]) == (owner in others), path


def test_a_step_is_torch_s_adam_with_clipping_and_schedule(maker, family):
    maker, family = maker(steps=6), family()
    reference = copy.deepcopy(family)
    config = OptimizerConfig(name="adam", learning_rate=1e-2, warmup_steps=3, clip=0.05)
    optimizer = FamilyOptimizer(family, config, 6)
    plain = torch.optim.Adam(reference.parameters(), lr=1.0, betas=config.betas)
    for step in range(6):
        batch = maker.batch(step)
        forward_backward(family, batch, maker.config, HERE, step)
        factor, norm = optimizer.step(step)

        (micro,) = batch.micro_batches(0, 1, 1, HERE.device)
        loss = reference(batch.language, micro.ids_BT, micro.positions_P, micro.labels_P)
        plain.zero_grad()
        (loss / len(micro.labels_P)).backward()
        gradients = torch.cat([p.grad.flatten() for p in reference.parameters()])
        assert float(norm) == pytest.approx(float(gradients.norm()), rel=1e-5)
        assert float(norm) > 0.05
        for parameter in reference.parameters():
            parameter.grad.mul_(0.05 / (gradients.norm() + 1e-6))
        plain.param_groups[0]["lr"] = 1e-2 * factor
        plain.step()
    for one, other in zip(family.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_torch_updates_all_parameters_in_one_kernel(family, name):
    """A loop over tensors gives nearly the same weights, and takes a multiple of the time."""
    module = family()
    optimizer = FamilyOptimizer(module, OptimizerConfig(name=name, warmup_steps=0), 5)
    adam = optimizer.optimizers[0]
    assert type(adam) is (torch.optim.Adam if name == "adam" else torch.optim.AdamW)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    with torch.profiler.profile() as profile:
        optimizer.step(0)
    called = {event.key for event in profile.key_averages()}
    fused = {"aten::_fused_adam_", "aten::_fused_adamw_"}
    assert called & fused == {f"aten::_fused_{'adam' if name == 'adam' else 'adamw'}_"}


def test_decay_is_on_matrices_only(family):
    module = family()
    optimizer = FamilyOptimizer(module, OptimizerConfig(name="adamw", weight_decay=0.1), 5)
    decays = {
        id(p): group["weight_decay"]
        for o in optimizer.optimizers
        for group in o.param_groups
        for p in group["params"]
    }
    assert len(decays) == len(list(module.parameters()))
    for parameter in module.parameters():
        assert decays[id(parameter)] == (0.1 if parameter.dim() > 1 else 0.0)


def test_muon_takes_the_matrices_of_layers_and_nothing_else(family):
    module = family("layers 1")
    optimizer = FamilyOptimizer(module, OptimizerConfig(name="muon"), 5)
    adamw, muon = optimizer.optimizers
    held = {id(p) for group in muon.param_groups for p in group["params"]}
    for name, parameter in module.named_parameters():
        assert (id(parameter) in held) == (".layer." in name and parameter.dim() == 2), name
    rest = sum(len(group["params"]) for group in adamw.param_groups)
    assert rest + len(held) == len(list(module.parameters()))


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_state_survives_a_round_trip(maker, family, name):
    maker, config = maker(steps=8), OptimizerConfig(name=name, warmup_steps=0)
    first = family("layers 1")
    optimizer = FamilyOptimizer(first, config, 8)
    train_on(first, optimizer, maker, range(4))
    second = family("layers 1")
    second.load_state_dict(first.state_dict())
    other = FamilyOptimizer(second, config, 8)
    other.load_state_tensors({k: v.clone() for k, v in optimizer.state_tensors().items()})
    train_on(first, optimizer, maker, range(4, 8))
    train_on(second, other, maker, range(4, 8))
    for one, two in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, two)
