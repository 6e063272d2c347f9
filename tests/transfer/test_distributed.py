"""Two processes under torchrun fine-tune as one does."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xling.transfer.config import TransferConfig
from xling.transfer.stage import transfer

SETTINGS = {
    "task": "ner",
    "source": "aa",
    "targets": ["bb"],
    # The processes' shares differ in size, most of all in an epoch's last batch.
    "batch_sizes": [13],
    "encoder_rates": [5e-3],
    "epochs": 2,
    "resamples": 0,
}
REGIMES = {"full": {}, "feature": {"regime": "feature", "layers": [1], "new_layers": 1}}


@pytest.fixture(scope="module")
def results(model, data, tmp_path_factory) -> Path:
    """For each regime the results of one process and of two."""
    root = tmp_path_factory.mktemp("results")
    for name, changes in REGIMES.items():
        (root / f"{name}.yaml").write_text(yaml.safe_dump(SETTINGS | changes), encoding="utf-8")
        config = TransferConfig.model_validate(SETTINGS | changes)
        transfer(str(model), data, root / f"{name}-one", config)
        # A port of its own for each: other tests may be under torchrun at the same time.
        launch = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "xling")
        verb = ("transfer", str(model), "--data", str(data), "--out", str(root / f"{name}-two"))
        done = subprocess.run(
            [sys.executable, "-m", *launch, *verb, "--config", str(root / f"{name}.yaml")],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize("regime", REGIMES)
def test_two_processes_are_one(results, regime):
    one, two = (pd.read_csv(results / f"{regime}-{count}/scores.csv") for count in ("one", "two"))
    keys = ["language", "layer", "condition", "metric", "n"]
    pd.testing.assert_frame_equal(one[keys], two[keys])
    # Sums in another order may change a word's tag, but not what is learnt.
    assert two["value"].to_numpy() == pytest.approx(one["value"].to_numpy(), abs=0.03)
    found = one[one["condition"] == "trained"].set_index(["language", "metric"])["value"]
    assert found["bb", "f1"] > 0.3
    tables = [pd.read_csv(results / f"{regime}-{count}/settings.csv") for count in ("one", "two")]
    assert (tables[0]["best_epoch"] == tables[1]["best_epoch"]).all()
    ends = [
        (results / f"{regime}-{count}").glob("predictions/ner/**/*.iob2")
        for count in ("one", "two")
    ]
    assert [sorted(path.name for path in files) for files in ends] == [["aa.iob2", "bb.iob2"]] * 2


def test_no_state_is_left(results):
    assert not [path.name for path in results.iterdir() if path.name.startswith(".")]
