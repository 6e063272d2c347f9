"""The grid: every setting and seed is fine-tuned, the best on the source's dev are chosen."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from xling.progress import bar
from xling.transfer.config import TransferConfig
from xling.transfer.finetune import Learner, Progress, Setting, Trainer
from xling.transfer.states import Place


@dataclass(frozen=True)
class Tried:
    """One setting and seed after fine-tuning."""

    setting: Setting
    seed: int
    progress: Progress
    place: Place


def grid(config: TransferConfig) -> list[Setting]:
    """Return the settings to try, in order."""
    if config.head_rates is None:
        pairs = [(rate, rate) for rate in config.encoder_rates]
    else:
        pairs = list(product(config.encoder_rates, config.head_rates))
    return [Setting(size, *rates) for size in config.batch_sizes for rates in pairs]


def search(
    trainer: Trainer, make: Callable[[int], Learner], folder: Path, label: str
) -> tuple[list[Tried], list[Setting]]:
    """Fine-tune every setting with every seed; what ``folder`` has is not done again.

    A setting is judged by the mean over seeds of its best dev score. Only the weights of the
    best settings so far are kept.

    Args:
        trainer: Task, data and configuration.
        make: Seed to a learner with fresh weights.
        folder: Where states are kept.
        label: For the progress bar.

    Returns:
        Everything tried, and the chosen settings, best first.
    """
    config = trainer.config
    settings = grid(config)
    tried: list[Tried] = []
    total = len(settings) * len(config.seeds)
    for number, (setting, seed) in enumerate(product(settings, config.seeds), 1):
        place = Place(folder / f"{_name(setting)}_seed-{seed}", trainer.here)
        steps = config.epochs * -(-len(trainer.train.windows) // setting.batch_size)
        with bar(f"{label} {number}/{total}: {setting}", steps, "steps") as advance:
            progress = trainer.fit(make(seed), setting, seed, place, advance)
        tried.append(Tried(setting, seed, progress, place))
        if seed == config.seeds[-1]:
            chosen = best_settings(tried, config.averaged)
            for one in tried:
                if one.setting not in chosen:
                    one.place.drop_weights()
    return tried, chosen


def best_settings(tried: list[Tried], count: int) -> list[Setting]:
    """Return the settings with the highest mean dev score; the earlier of equal ones."""
    settings = list(dict.fromkeys(one.setting for one in tried))
    means = [
        np.mean([one.progress.best for one in tried if one.setting == setting])
        for setting in settings
    ]
    order = np.argsort(-np.array(means), kind="stable")[:count]
    return [settings[place] for place in order]


def _name(setting: Setting) -> str:
    return f"batch-{setting.batch_size}_{setting.encoder_rate:g}_{setting.head_rate:g}"
