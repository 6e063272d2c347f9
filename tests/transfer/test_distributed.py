"""Two processes fine-tune as one does."""

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
def results(model, data, tmp_path_factory, xling_in_child) -> Path:
    """For each regime the results of one process and of two."""
    root = tmp_path_factory.mktemp("results")
    for name, changes in REGIMES.items():
        (root / f"{name}.yaml").write_text(yaml.safe_dump(SETTINGS | changes), encoding="utf-8")
        config = TransferConfig.model_validate(SETTINGS | changes)
        transfer(str(model), data, root / f"{name}-one", config)
        verb = ("transfer", model, "--data", data, "--out", root / f"{name}-two")
        done = xling_in_child(*verb, "--config", root / f"{name}.yaml", processes=2)
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
