"""Two processes train what one trains."""

import json

import pytest
from safetensors.torch import load_file

RUNS = {
    # Private parts: each batch leaves some parameters without gradient on all processes
    "ddp": (
        ["embeddings.positions", "layers 1"],
        {"optimizer": {"name": "muon", "warmup_steps": 2}},
    ),
    "bf16": (["layers 1"], {"precision": "bf16"}),
    # A layer of which only a sublayer is private, and parameters of fewer rows than processes
    "fsdp": (["layers 2.attention", "head"], {"parallel": "fsdp"}),
}


@pytest.fixture(params=["forked", pytest.param("torchrun", marks=pytest.mark.slow)])
def run_two(request, launch, write_run, xling_in_child):
    """The function that trains in two processes: (out, run)."""

    def run(out, config) -> None:
        if request.param == "forked":
            done = xling_in_child(*write_run(out, config), processes=2)
            status, said = done.returncode, done.stderr
        else:
            process = launch(out, config, processes=2)
            said, _ = process.communicate(timeout=180)
            status = process.returncode
        assert status == 0, said

    return run


@pytest.mark.parametrize("how", RUNS)
def test_two_processes_are_one(run_here, run_two, run_config, curve, entries, tmp_path, how):
    separate, settings = RUNS[how]
    config = run_config(*separate, steps=8, accumulation=2, **settings)
    alone = run_here(tmp_path / "one", config)
    two = tmp_path / "two"
    run_two(two, config)
    assert json.loads((two / "preflight.json").read_text())["processes"] == 2

    expected, found = curve(alone), curve(two)
    assert found.keys() == expected.keys()
    # In bf16 the order of sums shows; the first loss, before any update, tells of equal draws.
    rounding = 500 if how == "bf16" else 1
    for key, loss in expected.items():
        draws = 1e-5 * (1 if key[0] == 1 and key[1] == "train" else rounding)
        assert found[key] == pytest.approx(loss, abs=draws), key
    # Adam and Muon hardly notice a gradient of another scale; its norm does
    norms = [
        [e["gradient_norm"] for e in entries(out) if e["kind"] == "train"] for out in (alone, two)
    ]
    assert norms[1] == pytest.approx(norms[0], rel=1e-3 * max(1, rounding / 20))
    last = "checkpoints/step-00000008.safetensors"
    one, other = load_file(alone / last), load_file(two / last)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert tensor.shape == other[name].shape, name
    language = "aa/model.safetensors"
    weights = load_file(alone / "model" / language), load_file(two / "model" / language)
    for name, tensor in weights[0].items():
        assert (tensor - weights[1][name]).abs().max() < 1e-3 * max(1, rounding / 20), name
