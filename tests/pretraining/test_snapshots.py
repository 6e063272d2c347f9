"""Weights kept at log-spaced steps, and the probes of them."""

import itertools
import math

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from xling.errors import XlingError
from xling.pretraining.checkpoint import load_snapshot, saved_snapshots
from xling.pretraining.config import PretrainingConfig, snapshot_steps
from xling.results import COLUMNS, Key
from xling.similarity.config import ProbeConfig
from xling.similarity.stage import ProbeSettings, probe_model


@given(steps=st.integers(1, 10**6), snapshots=st.integers(1, 30))
def test_steps_are_spaced_by_a_constant_factor(steps, snapshots):
    found = snapshot_steps(PretrainingConfig(steps=steps, snapshots=snapshots))
    assert found[-1] == steps
    assert found[0] >= 1
    assert sorted(set(found)) == list(found)
    assert len(found) <= snapshots
    if steps > 10**5 and snapshots > 1:
        assert len(found) == snapshots
        logs = [math.log(step) for step in found]
        gaps = [after - before for before, after in itertools.pairwise(logs)]
        assert gaps == pytest.approx([math.log(256) / (snapshots - 1)] * len(gaps), abs=0.01)


def test_a_run_without_snapshots_or_steps_keeps_none():
    assert snapshot_steps(PretrainingConfig(steps=10)) == ()
    assert snapshot_steps(PretrainingConfig(steps=0, snapshots=4)) == ()


@pytest.fixture(scope="module")
def finished(run_here, run_config, tmp_path_factory):
    config = run_config("layers 1", snapshots=3)
    return run_here(tmp_path_factory.mktemp("runs") / "run", config), config


@pytest.fixture(scope="module")
def probed(finished, corpus, tmp_path_factory):
    out = tmp_path_factory.mktemp("probe") / "out"
    settings = ProbeSettings(
        languages=("aa", "bb"), probe=ProbeConfig(random_seeds=(), resamples=0, emergence_lines=20)
    )
    probe_model(finished[0] / "model", corpus.data, out, settings)
    return out, settings


def test_a_snapshot_is_the_checkpoint_of_its_step_in_half_precision(finished):
    out, config = finished
    found = saved_snapshots(out)
    assert tuple(found) == snapshot_steps(config.pretraining) == (1, 3, 12)
    checkpoint = load_file(out / "checkpoints" / "step-00000012.safetensors")
    weights = load_file(found[12])
    assert weights
    for name, weight in weights.items():
        assert torch.equal(weight, checkpoint[f"weights/{name}"].half())
    assert not torch.equal(next(iter(load_file(found[1]).values())), next(iter(weights.values())))


def test_snapshots_change_no_weight(finished, run_here, run_config, tmp_path):
    plain = run_here(tmp_path / "plain", run_config("layers 1"))
    for path in plain.glob("model/*/model.safetensors"):
        assert path.read_bytes() == (finished[0] / path.relative_to(plain)).read_bytes()
    assert not (plain / "snapshots").exists()


def test_every_snapshot_is_probed(probed, finished, corpus):
    out, _ = probed
    table = pd.read_csv(out / "emergence.csv")
    assert list(table.columns) == ["step", *COLUMNS]
    assert sorted(table["step"].unique()) == [1, 3, 12]
    assert set(table["probe"]) == {
        *("cka", "cka-anchor-free", "retrieval", "retrieval-anchor-free"),
    }
    assert not table.duplicated(["step", *Key._fields]).any()
    assert (table.groupby("step").size() == len(table) / 3).all()
    cka = table[(table["probe"] == "cka") & (table["layer"] == 2)].set_index("step")["value"]
    assert cka.nunique() == 3


def test_the_last_snapshot_gives_the_figures_of_the_model(
    probed, finished, corpus, run_here, run_config, tmp_path
):
    # Here the best weights are the last ones, so that the model beside the snapshots is theirs.
    run, _ = finished
    best = load_file(run / "checkpoints" / "best.safetensors")
    last = load_file(run / "checkpoints" / "step-00000012.safetensors")
    assert all(torch.equal(best[name], last[f"weights/{name}"]) for name in best)
    settings = ProbeSettings(
        languages=("aa", "bb"), probe=ProbeConfig(random_seeds=(), resamples=0, maximum_lines=20)
    )
    probe_model(run / "model", corpus.data, tmp_path / "whole", settings)
    whole = pd.read_csv(tmp_path / "whole" / "scores.csv")
    table = pd.read_csv(probed[0] / "emergence.csv")
    keys = ["probe", "dataset", "language", "direction", "layer", "condition", "metric"]
    both = whole.merge(table[table["step"] == 12], on=keys, suffixes=("", "_last"))
    assert len(both) == len(table) / 3
    cka = both[both["metric"] == "cka"]
    assert cka["value_last"].tolist() == pytest.approx(cka["value"].tolist(), abs=5e-3)


def test_probing_again_does_nothing(probed, finished, corpus):
    out, settings = probed
    before = (out / "emergence.csv").stat().st_mtime_ns
    probe_model(finished[0] / "model", corpus.data, out, settings)
    assert (out / "emergence.csv").stat().st_mtime_ns == before


def test_a_model_alone_is_probed_without_snapshots(finished, corpus, tmp_path):
    out, _ = finished
    settings = ProbeSettings(
        languages=("aa", "bb"), probe=ProbeConfig(random_seeds=(), resamples=0, emergence_lines=0)
    )
    probe_model(out / "model", corpus.data, tmp_path / "probe", settings)
    assert not (tmp_path / "probe" / "emergence.csv").exists()


def test_a_damaged_or_foreign_snapshot_is_refused(finished, family, tmp_path):
    with pytest.raises(XlingError, match="not a snapshot of the model beside it"):
        load_snapshot(family("layers 1-2"), saved_snapshots(finished[0])[12])
    damaged = tmp_path / "step-00000001.safetensors"
    damaged.write_bytes(saved_snapshots(finished[0])[12].read_bytes()[:-10])
    with pytest.raises(XlingError, match="not a snapshot"):
        load_snapshot(family("layers 1"), damaged)
