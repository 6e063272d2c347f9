"""What holds NaN or infinity is never selected, averaged in or reported."""

import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from xling.encoders.encoders import Encoders
from xling.encoders.windows import word_windows
from xling.errors import XlingError
from xling.transfer.batching import collate
from xling.transfer.config import ContextSettings, TransferConfig
from xling.transfer.context import align_context
from xling.transfer.heads import BiaffineScores, WordHead
from xling.transfer.parsing import ParserHead
from xling.transfer.stage import transfer

QUICK = {
    "source": "aa",
    "targets": ["bb"],
    "batch_sizes": [8],
    "epochs": 2,
    "train_sentences": 32,
    "resamples": 0,
}
OFTEN = {("ner", "full"), ("parsing", "feature")}
REGIMES = {"full": {}, "feature": {"regime": "feature", "layers": [0, 1], "new_layers": 1}}


def config(**changes) -> TransferConfig:
    return TransferConfig.model_validate({**QUICK, **changes})


def table(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "scores.csv").sort_values(["language", "layer", "condition", "metric"])


def spoil(model: Path, copy: Path, language: str, parameter: str) -> Path:
    """Copy a family, one weight of one language's encoder no number."""
    shutil.copytree(model, copy)
    path = copy / language / "model.safetensors"
    tensors = load_file(path)
    (name,) = [name for name in tensors if name.endswith(parameter)]
    tensors[name].view(-1)[3] = float("nan")
    path.unlink()
    save_file(tensors, path, metadata={"format": "pt"})
    return copy


@pytest.mark.parametrize(
    ("task", "regime"),
    [
        pytest.param(*case, marks=[] if case in OFTEN else pytest.mark.slow)
        for case in product(("ner", "parsing", "nli", "topics"), REGIMES)
    ],
)
def test_a_setting_that_diverged_counts_for_nothing(model, data, tmp_path, caplog, task, regime):
    given = {"task": task, "averaged": 2, "seeds": [1, 2], **REGIMES[regime]}
    transfer(str(model), data, tmp_path / "sound", config(**given, encoder_rates=[5e-3]))
    assert "diverged" not in caplog.text
    transfer(str(model), data, tmp_path / "both", config(**given, encoder_rates=[1e38, 5e-3]))
    assert "rates 1e+38 and 1e+38, seed 1: diverged in epoch 1" in caplog.text
    sound, both = (table(tmp_path / name) for name in ("sound", "both"))
    pd.testing.assert_frame_equal(sound.reset_index(drop=True), both.reset_index(drop=True))
    tried = pd.read_csv(tmp_path / "both" / "settings.csv")
    of_diverged = tried[tried["encoder_rate"] > 1]
    assert len(of_diverged) == 2 * len(of_diverged["layer"].unique())
    assert not of_diverged["selected"].any()
    assert of_diverged["value"].isna().all()


@pytest.mark.parametrize("regime", REGIMES)
def test_if_all_diverged_it_says_what_to_do_and_leaves_nothing(model, data, tmp_path, regime):
    settings = config(task="ner", encoder_rates=[1e38], **REGIMES[regime])
    with pytest.raises(XlingError, match=r"every setting diverged.*1e\+38.*smaller encoder_rates"):
        transfer(str(model), data, tmp_path / "out", settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("language", ["aa", "bb"])
@pytest.mark.parametrize("regime", REGIMES)
def test_a_diverged_model_is_refused_and_earlier_results_stay(
    make_model, data, tmp_path, regime, language
):
    model = make_model("embeddings", "layers 1-2")
    settings = config(task="ner", encoder_rates=[5e-3], **REGIMES[regime])
    transfer(str(model), data, tmp_path / "out", settings)
    before = (tmp_path / "out" / "scores.csv").read_bytes()
    spoilt = spoil(model, tmp_path / "spoilt", language, "layer.0.output.dense.weight")
    with pytest.raises(XlingError, match=f"{language}.* NaN or infinity.*has diverged; take an"):
        transfer(str(spoilt), data, tmp_path / "out", settings)
    assert (tmp_path / "out" / "scores.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "spoilt"]


@pytest.mark.parametrize("language", ["aa", "bb"])
def test_a_diverged_model_is_refused_in_transfer_through_a_map(
    make_model, data, tmp_path, language
):
    parts = tmp_path / "data"
    shutil.copytree(data, parts)
    for code in ("aa", "bb"):
        (parts / "parallel" / "same").mkdir(parents=True, exist_ok=True)
        lines = (data / "text/wiki/aa.txt").read_text()
        (parts / "parallel" / "same" / f"{code}.txt").write_text(lines)
    task = {"task": "ner", "encoder_rates": [5e-3], "batch_sizes": [8], "epochs": 1}
    settings = ContextSettings.model_validate(
        {"languages": ["aa", "bb"], "train": "same", "transfer": task}
    )
    model = spoil(
        make_model("embeddings", "layers 1-2"),
        tmp_path / "spoilt",
        language,
        "layer.1.output.dense.bias",
    )
    with pytest.raises(XlingError, match=f"{language}.* NaN or infinity.*has diverged"):
        align_context(model / "aa", model / "bb", parts, tmp_path / "out", settings)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "spoilt"]


def test_scores_of_padding_are_not_taken_for_broken_ones(model):
    encoder = Encoders.load(model, ["aa"]).of["aa"]
    lengths = [5, 1, 3]
    windows = word_windows(encoder, [["the"] * length for length in lengths])
    batch = collate(windows, np.arange(3), torch.device("cpu"))
    hidden = torch.randn(*batch.ids_BL.shape, 32)
    with torch.inference_mode():
        head = ParserHead(32, 4).eval()
        scores = head(hidden, batch)
        assert scores.arcs_BNH.isinf().any()  # heads past the end of short sentences
        assert head.broken(scores, batch) == 0
        for value in (float("nan"), float("inf"), -float("inf")):
            arcs = scores.arcs_BNH.clone()
            arcs[0, 4, 0] = arcs[2, 1, 3] = arcs[1, 0, 1] = value
            arcs[1, 3, 0] = value  # a padding word
            assert head.broken(scores._replace(arcs_BNH=arcs), batch) == 3
            for field in ("dependents_BNK", "heads_BHK"):
                changed = getattr(scores, field).clone()
                changed[0, 2, 1] = value
                assert head.broken(scores._replace(**{field: changed}), batch) == 1
        assert isinstance(scores, BiaffineScores)
        linear = WordHead(32, 3)
        logits = linear(hidden, batch)
        assert linear.broken(logits, batch) == 0
        logits[2, 1] = logits[2, 0] = float("inf")
        logits[8, 1] = float("nan")
        assert linear.broken(logits, batch) == 2
