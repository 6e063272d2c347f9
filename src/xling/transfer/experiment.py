"""One condition of a task: fine-tune the grid, then test the chosen checkpoints once."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np

from xling.bootstrap import Counts, interval_over_seeds
from xling.encoders.batches import Ints
from xling.files import JsonObject, content_hash
from xling.influence import INFLUENCE, Floats, of_statistic, write_influence
from xling.progress import bar
from xling.results import DEV, TRAINED, Key, Score, combined
from xling.transfer.config import TransferConfig
from xling.transfer.finetune import DivergedError, FineTuner, Learner, Setting
from xling.transfer.heads import Predictions
from xling.transfer.states import (
    FineTuningProgress,
    FineTuningState,
    is_unchanged,
    read_record,
    write_record,
)
from xling.transfer.task import Split

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tried:
    """One setting and seed, after fine-tuning or before it.

    Attributes:
        setting: Batch size and rates.
        seed: Seed of head, order and dropout.
        state: Where its state is kept.
        progress: How it went.
    """

    setting: Setting
    seed: int
    state: FineTuningState
    progress: FineTuningProgress = field(default_factory=FineTuningProgress)


def grid(config: TransferConfig) -> list[Setting]:
    """Return the settings to try, in order."""
    if config.head_rates is None:
        pairs = [(rate, rate) for rate in config.encoder_rates]
    else:
        pairs = list(product(config.encoder_rates, config.head_rates))
    return [Setting(size, *rates) for size in config.batch_sizes for rates in pairs]


def to_try(trainer: FineTuner, folder: Path) -> list[Tried]:
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
    trainer: FineTuner, make: Callable[[int], Learner], folder: Path, label: str
) -> tuple[list[Tried], list[Setting]]:
    """Fine-tune every setting with every seed; what is in ``folder`` is not done again.

    A setting is judged by the mean over seeds of its best dev score; one that diverged with any
    seed is left out. Only the weights of the best settings so far are kept.

    Args:
        trainer: Task, data and configuration.
        make: Makes a learner with fresh weights from a seed.
        folder: Where states are kept.
        label: For the progress bar.

    Returns:
        Everything tried, and the chosen settings, best first; their best weights exist.

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

    Those that diverged are left out, so there may be fewer than ``count``.
    """
    diverged = {one.setting for one in tried if one.progress.diverged}
    settings = list(dict.fromkeys(one.setting for one in tried if one.setting not in diverged))
    means = [
        np.mean([one.progress.best for one in tried if one.setting == setting])
        for setting in settings
    ]
    order = np.argsort(-np.array(means), kind="stable")[:count]
    return [settings[number] for number in order]


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


TRIED = (
    "condition",
    "layer",
    "batch_size",
    "encoder_rate",
    "head_rate",
    "seed",
    "epochs",
    "best_epoch",
    "selected",
    "language",
    "metric",
    "value",
)

_RECORD = "scores.json"  # scores, settings tried, and the hashes of the predictions


@dataclass(frozen=True, eq=False)
class Experiment:
    """What to fine-tune and test.

    Attributes:
        probe: What its scores are called.
        condition: ``trained`` for the model itself, ``untrained``, ``supervised``.
        trainer: Task, source data and configuration.
        tests: Test splits.
        folder: Where states and finished layers are kept.
        predictions: Where predictions go; None to write none.
        gold: The file of each language's test split.
    """

    probe: str
    condition: str
    trainer: FineTuner
    tests: Sequence[Split]
    folder: Path
    predictions: Path | None
    gold: Mapping[str, Path]

    def run(
        self, make: Callable[[int], Learner], layer: int | None
    ) -> tuple[list[Score], list[list[object]]]:
        """Return scores, and rows of :data:`TRIED`; nothing is computed twice."""
        folder = self.folder if layer is None else self.folder / f"layer-{layer}"
        found = self._recorded(folder, layer)
        self.trainer.process.barrier()  # all look before one writes, so all do the same
        if found is None:
            rows, table = self._run(make, layer, folder)
            if self.trainer.process.is_main:
                hashes = {name: content_hash(path) for name, path in self._files(layer).items()}
                hashes[INFLUENCE] = content_hash(folder / INFLUENCE)
                record = {"scores": [[*row] for row in rows], "tried": table, "files": hashes}
                write_record(folder / _RECORD, record)
            self.trainer.process.barrier()
            found = self._recorded(folder, layer)
            assert found is not None, folder
        # Only once the scores are on disk: a run stopped earlier resumes from the weights.
        for one in to_try(self.trainer, folder):
            one.state.drop_weights()
        return [Score(*row) for row in found["scores"]], found["tried"]

    def _recorded(self, folder: Path, layer: int | None) -> JsonObject | None:
        """Return the record of finished work, if the files that it names are unchanged."""
        found = read_record(folder / _RECORD)
        if found is None:
            return None
        hashes = found["files"]
        files = {**self._files(layer), INFLUENCE: folder / INFLUENCE}
        whole = all(is_unchanged(path, hashes.get(name)) for name, path in files.items())
        return found if whole else None

    def _run(
        self, make: Callable[[int], Learner], layer: int | None, folder: Path
    ) -> tuple[list[Score], list[list[object]]]:
        task = self.trainer.task
        where = "" if layer is None else f" layer {layer}"
        changed = "" if self.condition == TRAINED else f"{self.condition} "
        label = f"{changed}{task.name} {self.trainer.train.language}{where}"
        tried, chosen = search(self.trainer, make, folder, label)
        dev = self.trainer.dev
        of_dev = self._key(dev.language, DEV, layer)._replace(metric=task.metric)
        table = [self._line(one, chosen, of_dev, one.progress.dev) for one in tried]
        selected = [one for setting in chosen for one in tried if one.setting == setting]
        mean = float(np.mean([one.progress.best for one in selected]))
        rows = [of_dev.score(mean, n=len(dev.items))]
        influence: dict[Key, Floats] = {}
        counts: dict[tuple[str, str], list[Ints]] = {
            (split.language, split.condition): [] for split in self.tests
        }
        for number, one in enumerate(selected):
            learner = make(one.seed)
            one.state.load_best(learner)
            for split in self.tests:
                predicted = self.trainer.predict(learner, split)
                found = task.counts(split.items, predicted)
                counts[split.language, split.condition].append(found)
                if number == 0 and split.mapped:
                    self._write(split, layer, predicted)
                of_split = self._key(split.language, split.condition, layer)
                for name, value in task.scores(found.sum(axis=0)).items():
                    key = of_split._replace(metric=name)
                    table.append(self._line(one, chosen, key, float(value)))
        for (language, condition), all_found in counts.items():
            whole = self._by_seed(all_found, len(chosen))
            key = self._key(language, condition, layer)
            rows += self._scores(key, whole)
            influence |= self._influence(key, whole)
        if self.trainer.process.is_main:
            folder.mkdir(parents=True, exist_ok=True)
            write_influence(folder, influence)
        return rows, table

    def _by_seed(self, counts: list[Ints], settings: int) -> Ints:
        """Return counts [S, N, A, ...] of seeds, items and settings, from one array per setting."""
        whole = np.stack(counts).reshape(settings, -1, *counts[0].shape)
        return np.moveaxis(whole, 0, 2)

    def _key(self, language: str, condition: str, layer: int | None) -> Key:
        """Return the key of a language's scores, without the metric."""
        condition = combined(self.condition, condition)
        part = self.trainer.task.part
        return Key(self.probe, part, language, layer=layer, condition=condition)

    def _influence(self, of: Key, counts: Ints) -> dict[Key, Floats]:
        """Return the influence values of each metric, a mean over seeds and settings."""
        task = self.trainer.task
        runs = [counts[seed, :, setting] for seed, setting in np.ndindex(*counts.shape[0:3:2])]

        def values(name: str) -> Floats:
            found = [of_statistic(run, lambda sums: task.scores(sums)[name]) for run in runs]
            return np.asarray(np.mean(found, axis=0))

        return {of._replace(metric=n): values(n) for n in task.scores(counts[0, 0, 0])}

    def _scores(self, of: Key, whole: Ints) -> list[Score]:
        """Return the mean of every metric over checkpoints, with its interval."""
        task, config = self.trainer.task, self.trainer.config
        names = list(task.scores(whole[0, 0, 0]))

        def statistic(sums: Counts) -> Floats:
            return np.stack([task.scores(sums)[name].mean(axis=-1) for name in names], axis=-1)

        values = statistic(whole.sum(axis=1)).mean(axis=0)
        scores = [
            of._replace(metric=name).score(float(value), n=whole.shape[1])
            for name, value in zip(names, values, strict=True)
        ]
        if not config.resamples:
            return scores
        ends = zip(*interval_over_seeds(whole, statistic, 0, config.resamples), strict=True)
        return [
            score._replace(low=float(low), high=float(high))
            for score, (low, high) in zip(scores, ends, strict=True)
        ]

    def _write(self, split: Split, layer: int | None, predicted: Predictions) -> None:
        path = self._files(layer).get(self._file(split, layer))
        if path is not None and self.trainer.process.is_main:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.trainer.task.write(path, self.gold[split.language], split.items, predicted)

    def _files(self, layer: int | None) -> dict[str, Path]:
        """Return the files of predictions to write, by their names in that folder."""
        if self.predictions is None:
            return {}
        names = [self._file(split, layer) for split in self.tests if split.mapped]
        return {name: self.predictions / name for name in names}

    def _file(self, split: Split, layer: int | None) -> str:
        task = self.trainer.task
        within = "" if layer is None else f"layer-{layer}/"
        return f"{task.name}/{within}{split.language}{task.ending}"

    def _line(self, one: Tried, chosen: Sequence[Setting], of: Key, value: float) -> list[object]:
        setting, progress = one.setting, one.progress
        return [
            of.condition,
            of.layer,
            setting.batch_size,
            setting.encoder_rate,
            setting.head_rate,
            one.seed,
            progress.epoch,
            progress.best_epoch,
            setting in chosen,
            of.language,
            of.metric,
            value,
        ]
