"""Checkpoints come back bit for bit, and damaged ones are passed over."""

import re

import pytest
import torch

from xling.errors import XlingError
from xling.pretraining.checkpoint import Checkpoints, Progress, named_weights, save_tensors
from xling.pretraining.config import OptimizerConfig
from xling.pretraining.distributed import World
from xling.pretraining.loop import forward_backward
from xling.pretraining.optimizer import FamilyOptimizer

HERE = World(0, 1, torch.device("cpu"))


@pytest.fixture
def trained(maker, family):
    """A function: (optimizer's name, steps done) -> a family and its optimizer."""

    def train(name="muon", steps=0):
        module, batches = family("layers 1"), maker()
        optimizer = FamilyOptimizer(module, OptimizerConfig(name=name, warmup_steps=0), 12)
        for step in range(steps):
            forward_backward(module, batches.batch(step), batches.config, HERE, step)
            optimizer.step(step)
        return module, optimizer

    return train


@pytest.fixture
def saved(trained, tmp_path):
    """Checkpoints of steps 2 and 4."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for steps in (2, 4):
        progress = Progress(steps, best_step=2, best_loss=3.5)
        checkpoints.save(progress, *trained(steps=steps), is_main=True)
    return checkpoints


@pytest.mark.parametrize("name", ["adam", "adamw", "muon"])
def test_everything_comes_back(trained, tmp_path, name):
    module, optimizer = trained(name, steps=3)
    checkpoints = Checkpoints(tmp_path)
    progress = Progress(3, best_step=2, best_loss=1.25)
    checkpoints.save(progress, module, optimizer, is_main=True)
    other, its_optimizer = trained(name)
    found, warnings = checkpoints.resume(other, its_optimizer)
    assert (found, warnings) == (progress, [])
    for one, two in zip(module.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    state, again = optimizer.state_tensors(), its_optimizer.state_tensors()
    assert state.keys() == again.keys()
    assert all(torch.equal(value, again[key]) for key, value in state.items())


def test_an_infinite_best_loss_comes_back(trained, tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(Progress(1), *trained(steps=1), is_main=True)
    assert checkpoints.resume(*trained())[0] == Progress(1)


def test_nothing_to_resume_from_is_the_start(trained, tmp_path):
    assert Checkpoints(tmp_path / "none").resume(*trained()) == (Progress(), [])


def test_a_process_that_does_not_lead_writes_nothing(trained, tmp_path):
    Checkpoints(tmp_path / "none").save(Progress(1), *trained(steps=1), is_main=False)
    assert not (tmp_path / "none").exists()


def test_the_last_two_stay_and_leftovers_of_killed_processes_go(saved, trained):
    leftover = saved.folder / ".step-00000005.safetensors.123.tmp"
    unrecorded = saved.folder / "step-00000001.safetensors"
    best = saved.folder / "best.safetensors"
    for path in (leftover, unrecorded, best):
        path.write_bytes(b"...")
    saved.save(Progress(6), *trained(steps=6), is_main=True)
    names = sorted(path.name for path in saved.folder.iterdir())
    stems = ("step-00000004", "step-00000006")
    ends = (".json", ".safetensors")
    assert names == ["best.safetensors", *(stem + end for stem in stems for end in ends)]


def truncate(path):
    path.write_bytes(path.read_bytes()[:1000])


def alter(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "truncated": (truncate, ".safetensors", r"truncated or altered \(1,000 bytes, hash differs\)"),
    "altered": (alter, ".safetensors", "truncated or altered"),
    "missing": (lambda path: path.unlink(), ".safetensors", "is missing"),
    "record": (
        lambda p: p.write_text(p.read_text()[:20]),
        ".json",
        "its record step-00000004.json is damaged",
    ),
    "empty record": (lambda p: p.write_text("{}"), ".json", "its record .* is damaged"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_newest_is_passed_over_with_a_warning(saved, trained, damage):
    harm, ending, message = DAMAGE[damage]
    path = saved.folder / f"step-00000004{ending}"
    harm(path)
    module, optimizer = trained()
    found, warnings = saved.resume(module, optimizer)
    assert found == Progress(2, best_step=2, best_loss=3.5)
    assert len(warnings) == 1
    assert re.search(message, warnings[0]), warnings
    expected, _ = trained(steps=2)
    for one, two in zip(expected.parameters(), module.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("harm", [truncate, alter, lambda path: path.unlink()])
def test_damaged_best_weights_are_found_before_training_goes_on(saved, trained, harm):
    path = saved.folder / "best.safetensors"
    save_tensors(path, named_weights(trained(steps=2)[0]), hashed=True)
    saved.check_best(Progress(4, best_step=2))
    harm(path)
    saved.check_best(Progress(1))
    with pytest.raises(XlingError, match=rf"{path}: .*delete {saved.folder} to train from the"):
        saved.check_best(Progress(4, best_step=2))


def test_when_all_are_damaged_it_says_what_to_do(saved, trained):
    for path in saved.folder.glob("*.safetensors"):
        truncate(path)
    with pytest.raises(XlingError) as error:
        saved.resume(*trained())
    message = str(error.value)
    assert message.startswith("no sound checkpoint is left")
    assert "\n" not in message
    assert message.count("truncated or altered (1,000 bytes, hash differs)") == 2
    assert message.endswith(f"delete {saved.folder} to train from the start")
