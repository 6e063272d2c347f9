"""The grid: every setting and seed is fine-tuned, the best on the source's dev are chosen."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np

from xling.progress import bar
from xling.transfer.config import TransferConfig
from xling.transfer.finetune import DivergedError, Learner, Progress, Setting, Trainer
from xling.transfer.states import FineTuningState

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """One setting and seed, after fine-tuning or before it.

    Attributes:
        setting: Batch size and rates.
        seed: Of head, order and dropout.
        state: Where its state is kept.
        progress: How it went.
    """

    setting: Setting
    seed: int
    state: FineTuningState
    progress: Progress = field(default_factory=Progress)


def grid(config: TransferConfig) -> list[Setting]:
    """Return the settings to try, in order."""
    if config.head_rates is None:
        pairs = [(rate, rate) for rate in config.encoder_rates]
    else:
        pairs = list(product(config.encoder_rates, config.head_rates))
    return [Setting(size, *rates) for size in config.batch_sizes for rates in pairs]


def to_try(trainer: Trainer, folder: Path) -> list[Tried]:
    """Return every setting with every seed, and where in ``folder`` its state is kept."""
    return [
        Tried(
            setting,
            seed,
            FineTuningState(folder / f"{_name(setting)}_seed-{seed}", trainer.process),
        )
        for setting, seed in product(grid(trainer.config), trainer.config.seeds)
    ]


def search(
    trainer: Trainer, make: Callable[[int], Learner], folder: Path, label: str
) -> tuple[list[Tried], list[Setting]]:
    """Fine-tune every setting with every seed; what ``folder`` has is not done again.

    A setting is judged by the mean over seeds of its best dev score; one that diverged with any
    seed is left out. Only the weights of the best settings so far are kept.

    Args:
        trainer: Task, data and configuration.
        make: Seed to a learner with fresh weights.
        folder: Where states are kept.
        label: For the progress bar.

    Returns:
        Everything tried, and the chosen settings, best first; their best weights are there.

    Raises:
        DivergedError: every setting did.
    """
    config = trainer.config
    wanted = to_try(trainer, folder)

    def fit(number: int) -> Tried:
        one = wanted[number]
        steps = config.epochs * trainer.steps_an_epoch(one.setting)
        title = f"{label} {number + 1}/{len(wanted)}: {one.setting}"
        with bar(title, steps, "steps") as advance:
            progress = trainer.fit(make(one.seed), one.setting, one.seed, one.state, advance)
        return replace(one, progress=progress)

    tried: list[Tried] = []
    for number, one in enumerate(wanted):
        tried.append(fit(number))
        if one.seed == config.seeds[-1]:
            _drop_all_but(best_settings(tried, config.averaged), tried)
    while True:
        chosen = best_settings(tried, config.averaged)
        if not chosen:
            raise DivergedError(_all_diverged(label, config))
        lost = [
            number
            for number, one in enumerate(tried)
            if one.setting in chosen and not one.state.has_best()
        ]
        if not lost:
            return tried, chosen
        for number in lost:
            one = tried[number]
            logger.warning(
                "%s, seed %d: its best weights are missing, truncated or altered; it is trained "
                "again",
                one.setting,
                one.seed,
            )
            one.state.forget()
            tried[number] = fit(number)


def best_settings(tried: list[Tried], count: int) -> list[Setting]:
    """Return the settings with the highest mean dev score; the earlier of equal ones.

    Those that diverged are none of them, so there may be fewer than ``count``.
    """
    diverged = {one.setting for one in tried if one.progress.diverged}
    settings = list(dict.fromkeys(one.setting for one in tried if one.setting not in diverged))
    means = [
        np.mean([one.progress.best for one in tried if one.setting == setting])
        for setting in settings
    ]
    order = np.argsort(-np.array(means), kind="stable")[:count]
    return [settings[place] for place in order]


def _drop_all_but(chosen: list[Setting], tried: list[Tried]) -> None:
    for one in tried:
        if one.setting not in chosen:
            one.state.drop_weights()


def _all_diverged(label: str, config: TransferConfig) -> str:
    rates = ", ".join(
        f"{rate:g}" for rate in sorted({*config.encoder_rates, *(config.head_rates or ())})
    )
    return (
        f"{label}: every setting diverged (loss or scores are NaN or infinity, at rates {rates}); "
        "give smaller encoder_rates and head_rates, or an earlier checkpoint of the model"
    )


def _name(setting: Setting) -> str:
    return f"batch-{setting.batch_size}_{setting.encoder_rate:g}_{setting.head_rate:g}"
