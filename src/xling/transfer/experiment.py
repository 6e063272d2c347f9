"""One condition of a task: fine-tune the grid, then test the chosen checkpoints once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import interval_over_seeds
from xling.files import content_hash
from xling.influence import INFLUENCE, Floats, of_statistic, write_influence
from xling.results import DEV, TRAINED, Key, Score, combined
from xling.transfer.finetune import Learner, Setting, Trainer
from xling.transfer.heads import Predictions
from xling.transfer.selection import Tried, search, to_try
from xling.transfer.states import is_unchanged, read_record, write_record
from xling.transfer.task import Split

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
    trainer: Trainer
    tests: Sequence[Split]
    folder: Path
    predictions: Path | None
    gold: Mapping[str, Path]

    def run(
        self, make: Callable[[int], Learner], layer: int | None
    ) -> tuple[list[Score], list[list[Any]]]:
        """Return scores, and rows of :data:`TRIED`; nothing is computed twice."""
        folder = self.folder if layer is None else self.folder / f"layer-{layer}"
        found = self._recorded(folder, layer)
        self.trainer.process.barrier()  # all have looked, so all do the same
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
        # Only now that the scores are on the disk: a run stopped before resumes from the weights.
        for one in to_try(self.trainer, folder):
            one.state.drop_weights()
        return [Score(*row) for row in found["scores"]], found["tried"]

    def _recorded(self, folder: Path, layer: int | None) -> dict[str, Any] | None:
        """Return the record of finished work, if what it tells of is there as it was written."""
        found = read_record(folder / _RECORD)
        if found is None:
            return None
        hashes = found["files"]
        files = {**self._files(layer), INFLUENCE: folder / INFLUENCE}
        whole = all(is_unchanged(path, hashes.get(name)) for name, path in files.items())
        return found if whole else None

    def _run(
        self, make: Callable[[int], Learner], layer: int | None, folder: Path
    ) -> tuple[list[Score], list[list[Any]]]:
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
        counts: dict[tuple[str, str], list[NDArray[Any]]] = {
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

    def _by_seed(self, counts: list[NDArray[Any]], settings: int) -> NDArray[Any]:
        """Return counts [S, N, A, ...] of seeds, items and settings; given setting by setting."""
        whole = np.stack(counts).reshape(settings, -1, *counts[0].shape)
        return np.moveaxis(whole, 0, 2)

    def _key(self, language: str, condition: str, layer: int | None) -> Key:
        """Return what scores of a language are known by, but for their metric."""
        condition = combined(self.condition, condition)
        part = self.trainer.task.part
        return Key(self.probe, part, language, layer=layer, condition=condition)

    def _influence(self, of: Key, counts: NDArray[Any]) -> dict[Key, Floats]:
        """Return the influence values of each metric, a mean over seeds and settings."""
        task = self.trainer.task
        runs = [counts[seed, :, setting] for seed, setting in np.ndindex(*counts.shape[0:3:2])]

        def values(name: str) -> Floats:
            found = [of_statistic(run, lambda sums: task.scores(sums)[name]) for run in runs]
            return np.asarray(np.mean(found, axis=0))

        return {of._replace(metric=n): values(n) for n in task.scores(counts[0, 0, 0])}

    def _scores(self, of: Key, whole: NDArray[Any]) -> list[Score]:
        """Return the mean of every metric over checkpoints, with its interval."""
        task, config = self.trainer.task, self.trainer.config
        names = list(task.scores(whole[0, 0, 0]))

        def statistic(sums: NDArray[Any]) -> NDArray[Any]:
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

    def _line(self, one: Tried, chosen: Sequence[Setting], of: Key, value: float) -> list[Any]:
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
