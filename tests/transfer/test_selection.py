"""The grid against a list written out by hand, and how many steps it says it takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from xling.pretraining.distributed import World
from xling.transfer import experiment as selection
from xling.transfer.batching import training_batches
from xling.transfer.config import TransferConfig
from xling.transfer.experiment import Tried, best_settings, grid, search
from xling.transfer.finetune import FineTuner, Setting
from xling.transfer.states import FineTuningProgress, FineTuningState

HERE = World(0, 1, torch.device("cpu"))


def configure(**changes) -> TransferConfig:
    given = {"task": "ner", "source": "aa", "targets": ["bb"], "encoder_rates": [1e-3], **changes}
    return TransferConfig.model_validate(given)


@pytest.mark.parametrize("sentences", [1, 7, 8, 9, 16, 100])
@pytest.mark.parametrize("epochs", [1, 3])
def test_the_bar_and_the_schedule_have_as_many_steps_as_there_are_batches(
    tmp_path, monkeypatch, sentences, epochs
):
    config = configure(batch_sizes=[8], epochs=epochs, patience=9, seeds=[1, 2])
    lengths = np.full(sentences, 5)
    trainer = FineTuner(
        None, config, SimpleNamespace(windows=lengths), SimpleNamespace(language="aa"), HERE
    )
    told, taken = [], []

    @contextmanager
    def bar(title: str, total: int, unit: str) -> Iterator[object]:
        told.append(total)
        yield lambda _: None

    def fit(trainer, learner, setting, seed, place, advance):
        batches = [training_batches(lengths, 8, seed, epoch) for epoch in range(epochs)]
        taken.append(sum(map(len, batches)))
        assert trainer.steps_an_epoch(setting) * epochs == taken[-1]
        return FineTuningProgress(epoch=epochs, best_epoch=1, best=0.5, finished=True)

    monkeypatch.setattr(selection, "bar", bar)
    monkeypatch.setattr(FineTuner, "fit", fit)
    monkeypatch.setattr(FineTuningState, "has_best", lambda _: True)
    tried, chosen = search(trainer, lambda _: None, tmp_path, "ner")
    assert len(tried) == 2
    assert chosen == [Setting(8, 1e-3, 1e-3)]
    assert told == taken


def test_the_grid_is_every_batch_size_with_every_pair_of_rates():
    both = configure(batch_sizes=[8, 16], encoder_rates=[1e-3, 1e-4], head_rates=[1e-2, 1e-1])
    expected = [Setting(b, e, h) for b in (8, 16) for e in (1e-3, 1e-4) for h in (1e-2, 1e-1)]
    assert grid(both) == expected
    one = configure(batch_sizes=[8, 16], encoder_rates=[1e-3, 1e-4])
    assert grid(one) == [Setting(b, e, e) for b in (8, 16) for e in (1e-3, 1e-4)]


def test_the_best_have_the_highest_mean_over_seeds_and_the_earlier_of_equal_ones(tmp_path):
    def tried(rate: float, *scores: float | None) -> list[Tried]:
        progress = [
            FineTuningProgress(diverged=True) if score is None else FineTuningProgress(best=score)
            for score in scores
        ]
        place = FineTuningState(tmp_path, HERE)
        return [Tried(Setting(8, rate, rate), n, place, p) for n, p in enumerate(progress)]

    all_tried = [
        *tried(1, 0.2, 0.4),  # 0.3
        *tried(2, 0.9, None),  # left out, though one seed is the best of all
        *tried(3, 0.5, 0.3),  # 0.4
        *tried(4, 0.35, 0.45),  # 0.4 as well
        *tried(5, 0.6, 0.0),  # 0.3, as the first
    ]
    found = [setting.encoder_rate for setting in best_settings(all_tried, 9)]
    assert found == [3, 4, 1, 5]
    assert [s.encoder_rate for s in best_settings(all_tried, 2)] == [3, 4]
    assert best_settings(all_tried[2:4], 2) == []
