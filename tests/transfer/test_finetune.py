"""Scores are those of the weights: no dropout, whatever mode a learner is in."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xling.data.layout import DataFolder
from xling.encoders.encoders import Encoders
from xling.pretraining.distributed import World
from xling.transfer import regimes
from xling.transfer.batching import collate
from xling.transfer.config import TransferConfig
from xling.transfer.features import FeatureCache
from xling.transfer.finetune import FineTuner, Learner
from xling.transfer.regimes import FeatureRegime, FullRegime
from xling.transfer.stage import make_task, transfer
from xling.transfer.task import Split, prepare, read_items

HERE = World(0, 1, torch.device("cpu"))
PARTS = {"ner": ("ner", "iob2"), "parsing": ("ud", "conllu")}
REGIMES = {
    "full": {"regime": "full"},
    "feature": {"regime": "feature", "layers": [1], "new_layers": 1},
}


def settings(**changes) -> TransferConfig:
    given = {"source": "aa", "targets": ["bb"], "batch_sizes": [8], "resamples": 0, **changes}
    return TransferConfig.model_validate(given)


@pytest.mark.parametrize(
    ("task", "regime"),
    [
        ("ner", "full"),
        ("parsing", "feature"),
        pytest.param("ner", "feature", marks=pytest.mark.slow),
        pytest.param("parsing", "full", marks=pytest.mark.slow),
    ],
)
def test_the_same_file_scores_the_same_as_dev_and_as_test(
    dropout_model, data, tmp_path, task, regime
):
    part, ending = PARTS[task]
    folder = tmp_path / "data" / part
    for language in ("aa", "bb"):
        (folder / language).mkdir(parents=True)
    for split in ("train", "dev"):
        (folder / "aa" / f"{split}.{ending}").symlink_to(data / part / "aa" / f"{split}.{ending}")
    for language in ("aa", "bb"):
        (folder / language / f"test.{ending}").symlink_to(data / part / "aa" / f"dev.{ending}")
    config = settings(
        task=task,
        encoder_rates=[2e-3, 5e-3, 1e-5],
        averaged=2,
        seeds=[1, 2],
        epochs=2,
        train_sentences=32,
        **REGIMES[regime],
    )
    transfer(str(dropout_model), tmp_path / "data", tmp_path / "out", config)
    table = pd.read_csv(tmp_path / "out" / "settings.csv")
    keys = ["encoder_rate", "seed", "language", "condition", "metric"]
    table = table[table["selected"]].set_index(keys)
    found, metric = table["value"], {"ner": "f1", "parsing": "las"}[task]
    assert len({key[:2] for key in found.index}) == 4
    for rate, seed, *_ in found.index:
        dev = found[rate, seed, "aa", "dev", metric]
        tested = [found[rate, seed, language, "trained", metric] for language in ("aa", "bb")]
        assert tested == [dev, dev]
    assert ((found > 0.05) & (found < 0.95)).any()  # else equal whatever was done


def learner_and_trainer(
    model: Path, data: Path, config: TransferConfig, work: Path
) -> tuple[Learner, FineTuner]:
    """Return a learner in training mode whose weights are far from what it began with."""
    encoders = Encoders.load(model, ["aa", "bb"])
    task = make_task(config)
    items = {
        split: read_items(task, DataFolder(data), "aa", split, 0) for split in ("train", "dev")
    }
    task.learn_labels(items["train"])
    train, dev = (prepare(task, encoders.of["aa"], split, items[split]) for split in items)
    if config.regime == "full":
        learner = FullRegime(encoders, "aa", [train, dev], HERE.device).learner(task, None, 1)
    else:
        cache = FeatureCache(work, 999, HERE)
        regime = FeatureRegime(encoders, "aa", config, cache, [train, dev], HERE.device)
        learner = regime.learner(task, 1, 1)
    with torch.no_grad():
        torch.manual_seed(1)
        for parameter in learner.head.parameters():
            parameter.normal_()
    for module in learner.modules:
        module.train()
    return learner, FineTuner(task, config, train, dev, HERE)


def one_by_one(learner: Learner, trainer: FineTuner, split: Split) -> dict[str, list[int]]:
    """Evaluate by hand: each sentence alone, every module told to, no dropout."""
    for module in learner.modules:
        module.eval()
    found: dict[str, list[int]] = {name: [] for name in split.gold}
    with torch.no_grad():
        for number in range(len(split.items)):
            batch = collate(split.windows, np.array([number]), HERE.device)
            predicted = learner.head.predict(learner.forward(split, batch), batch)
            for name, values in predicted.items():
                found[name] += values.tolist()
    return found


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("task", ["ner", "parsing", "nli", "topics"])
def test_predictions_are_equal_twice_and_to_those_made_by_hand(
    dropout_model, data, tmp_path, task, regime
):
    config = settings(task=task, **REGIMES[regime])
    learner, trainer = learner_and_trainer(dropout_model, data, config, tmp_path)
    torch.manual_seed(2)
    first, second = (trainer.predict(learner, trainer.dev) for _ in range(2))
    modes = {part.training for module in learner.modules for part in module.modules()}
    assert modes == {True}  # as before
    by_hand = one_by_one(learner, trainer, trainer.dev)
    if trainer.task.of_words:  # an untrained encoder says almost the same of all sentences
        assert len(set(by_hand[next(iter(by_hand))])) > 1
    for name in trainer.dev.gold:
        assert first[name].tolist() == second[name].tolist() == by_hand[name]


def test_predicting_draws_nothing_at_random(dropout_model, data, tmp_path):
    learner, trainer = learner_and_trainer(dropout_model, data, settings(task="parsing"), tmp_path)
    before = torch.random.get_rng_state()
    trainer.predict(learner, trainer.dev)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_step_in_bf16_is_as_near_to_fp32_as_that_of_the_plain_model(
    model, data, tmp_path, monkeypatch
):
    def gradients(precision):
        config = settings(task="ner", precision=precision)
        learner, trainer = learner_and_trainer(model, data, config, tmp_path)
        trainer.gradient(learner, np.arange(16))
        found = {name: parameter.grad for name, parameter in learner.parameters().items()}
        assert {gradient.dtype for gradient in found.values()} == {torch.float32}
        return torch.cat([found[name].flatten() for name in sorted(found)])

    wanted, ours = gradients("fp32"), gradients("bf16")
    assert torch.equal(gradients("auto"), wanted)  # on every CPU
    monkeypatch.setattr(regimes, "make_quick", lambda body: body.set_attn_implementation("sdpa"))
    assert torch.equal(gradients("fp32"), wanted)
    theirs = gradients("bf16")
    assert not torch.equal(ours, theirs)  # else one was compared with itself
    differences = [(of - wanted).norm() / wanted.norm() for of in (ours, theirs)]
    assert 0 < differences[0] < 1.2 * differences[1] < 0.1
