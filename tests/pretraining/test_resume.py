"""Killed at any moment and started again, a run ends as if it had not been."""

import json
import random
import time
from collections import Counter

import pytest

STEPS = 240


def last_step(out):
    """The newest step in the log, from whole lines only."""
    path = out / "log.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def run_until(process, out, step):
    end = time.monotonic() + 120
    while last_step(out) < step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bert", "bert-rotary", "xlm-roberta", "modernbert", "llama"])
def test_kill_9_at_three_moments_changes_no_bit(
    run_here, launch, run_config, curve, tmp_path, kind
):
    learned = kind in ("bert", "xlm-roberta")
    config = run_config(
        *(("embeddings.positions", "layers 1") if learned else ("layers 1",)),
        kind=kind,
        dropout=0.1,
        steps=STEPS,
        code_switching={},
        snapshots=6,
        checkpoint_every=11,
        evaluate_every=20,
        optimizer={"name": "muon", "learning_rate": 3e-3, "warmup_steps": 20},
    )
    whole, out = run_here(tmp_path / "whole", config), tmp_path / "killed"
    moments = random.Random(1)
    reached = 0
    for number in range(3):
        process = launch(out, config)
        # It goes on from a checkpoint, so wait until it is past where the last one got to
        target = max(reached + 5, moments.randint(60 * number + 10, 60 * number + 50))
        run_until(process, out, target)
        time.sleep(moments.random() * 0.02)
        process.kill()
        process.wait()
        assert process.returncode == -9
        reached = last_step(out)
        assert target <= reached < STEPS
        assert not (out / "artefact.json").exists()
    process = launch(out, config)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output

    files = [p.relative_to(whole) for p in whole.rglob("*.safetensors")]
    assert len(files) == 2 + 1 + 2 + 6  # checkpoints, best weights, languages, snapshots
    for file in files:
        assert (out / file).read_bytes() == (whole / file).read_bytes(), file
    assert not list((out / "checkpoints").glob(".*"))
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert max(Counter((e["step"], e["kind"], e["language"]) for e in lines).values()) == 1
    assert curve(out) == curve(whole)
