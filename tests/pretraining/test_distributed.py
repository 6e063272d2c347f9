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
    **{
        f"{kind} {how}": (["layers 1", "head"], {"parallel": how, "kind": kind})
        for how, kind in (
            ("ddp", "bert-rotary"),
            ("ddp", "xlm-roberta"),
            ("ddp", "modernbert"),
            ("fsdp", "modernbert"),
            ("ddp", "llama"),
            ("fsdp", "llama"),
        )
    },
    # Each step has rows of both languages; one table, in which a language's specials are its own
    "mixed": (
        ["embeddings.positions", "embeddings.specials"],
        {
            "mixed": True,
            "rows": 16,
            "softmax": "own",
            "replacements": "own",
            "base_share": 0.75,
            "forget_every": 3,
            "snapshots": 2,
        },
    ),
    "frozen": (["embeddings.tokens"], {"base_first": 0.5, "forget_every": 2}),
}


@pytest.fixture(params=["forked", pytest.param("torchrun", marks=pytest.mark.slow)])
def run_two(request, launch, write_run, xling_in_child):
    """The function that trains in two processes: (out, run, corpus)."""

    def run(out, config, of) -> None:
        if request.param == "forked":
            done = xling_in_child(*write_run(out, config, of), processes=2)
            status, said = done.returncode, done.stderr
        else:
            process = launch(out, config, processes=2, of=of)
            said, _ = process.communicate(timeout=180)
            status = process.returncode
        assert status == 0, said

    return run


OFTEN = {"llama ddp", *(how for how, (_, settings) in RUNS.items() if "kind" not in settings)}


@pytest.mark.parametrize(
    "how", [pytest.param(how, marks=[] if how in OFTEN else pytest.mark.slow) for how in RUNS]
)
def test_two_processes_are_one(
    run_here, run_two, run_config, curve, entries, tmp_path, corpus, with_own_tokens, how
):
    separate, settings = RUNS[how]
    config = run_config(*separate, steps=8, accumulation=2, **settings)
    of = with_own_tokens if "embeddings.tokens" in separate else corpus
    alone = run_here(tmp_path / "one", config, of)
    two = tmp_path / "two"
    run_two(two, config, of)
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
