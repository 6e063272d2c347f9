"""Two processes under torchrun fine-tune as one does."""

import os
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from xling.transfer.config import TransferConfig
from xling.transfer.stage import transfer

SETTINGS = {
    "task": "ner",
    "source": "aa",
    "targets": ["bb"],
    # An odd size: the processes' shares differ, and the last batch leaves one without a sentence.
    "batch_sizes": [5],
    "encoder_rates": [1e-3],
    "epochs": 3,
    "resamples": 0,
}


@pytest.mark.parametrize("regime", ["full", "feature"])
def test_two_processes_are_one(model, data, tmp_path, regime):
    settings = SETTINGS | {"regime": regime}
    if regime == "feature":
        settings |= {"layers": [1], "new_layers": 1}
    transfer(str(model), data, tmp_path / "one", TransferConfig.model_validate(settings))
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
    command += ["xling", "transfer", str(model), str(tmp_path / "two"), "--data", str(data)]
    done = subprocess.run(
        [*command, "--config", str(tmp_path / "settings.yaml")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "settings.yaml", "two"]
    one, two = (pd.read_csv(tmp_path / name / "scores.csv") for name in ("one", "two"))
    keys = ["language", "layer", "metric"]
    pd.testing.assert_frame_equal(one[keys], two[keys])
    # Sums in another order may change one word's tag, but not what is learnt.
    assert two["value"].to_numpy() == pytest.approx(one["value"].to_numpy(), abs=0.03)
    learnt = one.set_index(["language", "metric"])["value"]
    assert learnt["bb", "f1"] > 0.3
    # Chance and majority need no model; what the settings' table says must be the same run.
    table = [pd.read_csv(tmp_path / name / "settings.csv") for name in ("one", "two")]
    assert (table[0]["epochs"] == table[1]["epochs"]).all()
