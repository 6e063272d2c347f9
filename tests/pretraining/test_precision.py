"""A run is trained in the precision it began in, whatever the machine that goes on with it."""

import json
import logging
import re

import pytest
import torch

from xling.device import ChosenPrecision
from xling.errors import XlingError
from xling.pretraining import distributed, loop, run
from xling.pretraining.distributed import World, common_precision

CPU = torch.device("cpu")
LAST = "checkpoints/step-00000012.safetensors"
AUTO = {"steps": 12, "dropout": 0.1, "precision": "auto"}


class StoppedError(Exception):
    """In place of a kill."""


@pytest.fixture
def processor(monkeypatch):
    """The function that makes this a machine with or without fast bf16."""

    def pretend(amx: bool = False, avx512: bool = False) -> None:
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)

    return pretend


@pytest.fixture
def begun(run_here, monkeypatch):
    """The function that trains a run up to step 7, whose last checkpoint is of step 4."""

    def begin(out, config):
        real = loop.forward_backward

        def stop(model, batch, config, process, step):
            if step == 8:
                raise StoppedError
            return real(model, batch, config, process, step)

        with monkeypatch.context() as patch:
            patch.setattr(loop, "forward_backward", stop)
            with pytest.raises(StoppedError):
                run_here(out, config)
        return out

    return begin


def of(out):
    return json.loads((out / "preflight.json").read_text())


def test_one_machine_begins_in_bf16_and_the_other_in_fp32(
    run_here, run_config, processor, tmp_path, caplog
):
    config = run_config(**AUTO)
    with caplog.at_level(logging.INFO):
        processor(amx=True, avx512=True)
        fast = run_here(tmp_path / "fast", config)
        processor()
        slow = run_here(tmp_path / "slow", config)
    assert (of(fast)["precision"], of(fast)["bf16_features"]) == ("bf16", ["AMX", "AVX512-BF16"])
    assert (of(slow)["precision"], of(slow)["bf16_features"]) == ("fp32", [])
    assert "precision   bf16, faster here: this cpu has AMX and AVX512-BF16" in caplog.text
    assert "precision   fp32, this cpu has neither AMX nor AVX512-BF16" in caplog.text
    assert not any("bf16" in warning for warning in of(fast)["warnings"])
    for out, expected in ((fast, "bf16"), (slow, "fp32")):
        assert json.loads((out / "artefact.json").read_text())["precision"] == expected
        record = json.loads((out / LAST).with_suffix(".json").read_text())
        assert record["precision"] == expected
    assert (fast / LAST).read_bytes() != (slow / LAST).read_bytes()
    asked = run_here(tmp_path / "asked", run_config(**AUTO | {"precision": "fp32"}))
    assert (asked / LAST).read_bytes() == (slow / LAST).read_bytes()


@pytest.mark.parametrize("first", ["bf16", "fp32"])
def test_another_machine_goes_on_as_the_run_began(
    run_here, run_config, processor, begun, tmp_path, caplog, first
):
    config, fast = run_config(**AUTO), first == "bf16"
    processor(avx512=fast)
    whole = run_here(tmp_path / "whole", config)
    out = begun(tmp_path / "out", config)
    processor(avx512=not fast)
    with caplog.at_level(logging.INFO):
        run_here(out, config)
    assert (out / LAST).read_bytes() == (whole / LAST).read_bytes()
    assert f"precision   {first}, in which the run was begun (it is at step 4)" in caplog.text
    slow = [warning for warning in of(out)["warnings"] if "bf16 is not faster" in warning]
    assert len(slow) == fast


def test_without_a_checkpoint_there_is_nothing_to_keep(
    run_here, run_config, processor, begun, tmp_path
):
    config = run_config(**AUTO, checkpoint_every=12)
    processor(amx=True)
    out = begun(tmp_path / "out", config)
    processor()
    run_here(out, config)
    assert of(out)["precision"] == "fp32"


def as_before(out):
    """Take away what checkpoints and records did not say once."""
    for record in (out / "checkpoints").glob("*.json"):
        found = json.loads(record.read_text())
        del found["precision"]
        record.write_text(json.dumps(found))
    path = out / "artefact.json"
    if path.exists():
        found = json.loads(path.read_text())
        del found["precision"]
        path.write_text(json.dumps(found))


@pytest.mark.parametrize("preflight", ["whole", "missing", "broken"])
def test_runs_from_before_precision_was_recorded_go_on_in_fp32(
    run_here, run_config, processor, begun, tmp_path, preflight
):
    config = run_config(**AUTO)
    processor()
    whole, out = run_here(tmp_path / "whole", config), begun(tmp_path / "out", config)
    as_before(out)
    path = out / "preflight.json"
    if preflight == "missing":
        path.unlink()
    elif preflight == "broken":
        path.write_text("[")
    processor(amx=True)
    run_here(out, config)
    assert of(out)["precision"] == "fp32"
    assert (out / LAST).read_bytes() == (whole / LAST).read_bytes()


def test_a_finished_run_of_another_machine_is_kept(
    run_here, run_config, processor, monkeypatch, tmp_path
):
    config = run_config(**AUTO)
    processor()
    out = run_here(tmp_path / "out", config)
    as_before(out)
    processor(amx=True)
    monkeypatch.setattr(loop, "forward_backward", None)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*")}
    run_here(out, config)
    assert {p: p.stat().st_mtime_ns for p in out.rglob("*")} == before


def test_what_cannot_go_on_is_refused(
    run_here, run_config, processor, begun, tmp_path, monkeypatch
):
    config = run_config(**AUTO)
    processor(amx=True)
    out = begun(tmp_path / "out", config)
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(run, "can_train_in_bf16", lambda device: False)
        message = f"{re.escape(str(out))}: was begun in bf16, in which torch cannot train on cpu"
        with pytest.raises(XlingError, match=message):
            run_here(out, config)
        with pytest.raises(XlingError, match=r"pretraining\.precision: bf16, in which torch"):
            run_here(tmp_path / "other", run_config(steps=2, precision="bf16"))
    for record in (out / "checkpoints").glob("*.json"):
        found = json.loads(record.read_text())
        record.write_text(json.dumps(found | {"precision": "fp8"}))
    with pytest.raises(XlingError, match="the precision 'fp8', which this version"):
        run_here(out, config)
    assert {p for p in out.rglob("*") if p.is_file()} == set(before)
    assert all(p.read_bytes() == was for p, was in before.items() if p.suffix == ".safetensors")


@pytest.mark.parametrize(
    ("setting", "faster", "expected"),
    [
        ("auto", (True, True), "bf16"),
        ("auto", (True, False), "fp32"),
        ("auto", (False, True), "fp32"),
        ("bf16", (True, False), "bf16"),
        ("fp32", (True, True), "fp32"),
    ],
)
def test_processes_agree(monkeypatch, setting, faster, expected):
    """Each process in turn; what a sum over both gives is made up of what each said."""

    class Two(World):
        def total(self, value):
            said.append(int(value))
            return torch.tensor(votes)

    def choose(setting, device):
        auto = "bf16" if faster[rank] else "fp32"
        return ChosenPrecision(auto if setting == "auto" else setting, "")

    monkeypatch.setattr(distributed, "training_precision", choose)
    said: list[int] = []
    votes = 0
    for rank in (0, 1):
        common_precision(setting, Two(rank, 2, CPU))
    assert len(said) == 2
    votes = sum(said)
    for rank in (0, 1):
        assert common_precision(setting, Two(rank, 2, CPU)).name == expected
