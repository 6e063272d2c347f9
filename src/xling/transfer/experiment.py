"""One condition of a task: fine-tune the grid, then test the chosen checkpoints once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import interval_over_seeds
from xling.files import read_json, write_json
from xling.transfer.finetune import Learner, Setting, Trainer
from xling.transfer.heads import Predictions
from xling.transfer.selection import Tried, search
from xling.transfer.task import Split

Row = tuple[str, int | None, str, float]  # language, layer, metric, value
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


@dataclass(frozen=True, eq=False)
class Experiment:
    """What to fine-tune and test.

    Attributes:
        condition: ``""`` for the model itself, ``"random:"``, ``"supervised:"``: before metrics.
        trainer: Task, source data and configuration.
        tests: Test splits.
        folder: Where states and finished layers are kept.
        predictions: Where predictions go; None to write none.
        gold: The file of each language's test split.
    """

    condition: str
    trainer: Trainer
    tests: Sequence[Split]
    folder: Path
    predictions: Path | None
    gold: Mapping[str, Path]

    def run(
        self, make: Callable[[int], Learner], layer: int | None
    ) -> tuple[list[Row], list[list[Any]]]:
        """Return rows of scores, and rows of :data:`TRIED`; nothing is computed twice."""
        folder = self.folder if layer is None else self.folder / f"layer-{layer}"
        record = folder / "scores.json"
        if not record.is_file():
            rows, table = self._run(make, layer, folder)
            if self.trainer.here.leads:
                write_json(record, {"scores": rows, "tried": table})
            self.trainer.here.barrier()
        found = read_json(record)
        return [tuple(row) for row in found["scores"]], found["tried"]

    def _run(
        self, make: Callable[[int], Learner], layer: int | None, folder: Path
    ) -> tuple[list[Row], list[list[Any]]]:
        task = self.trainer.task
        where = "" if layer is None else f" layer {layer}"
        label = f"{self.condition}{task.name} {self.trainer.train.language}{where}"
        tried, chosen = search(self.trainer, make, folder, label)
        source = self.trainer.dev.language
        table = [
            self._line(one, layer, chosen, source, f"dev:{task.metric}", one.progress.best)
            for one in tried
        ]
        selected = [one for setting in chosen for one in tried if one.setting == setting]
        mean = float(np.mean([one.progress.best for one in selected]))
        rows: list[Row] = [(source, layer, f"{self.condition}dev:{task.metric}", mean)]
        counts: dict[tuple[str, str], list[NDArray[Any]]] = {
            (split.language, split.prefix): [] for split in self.tests
        }
        for number, one in enumerate(selected):
            learner = make(one.seed)
            one.place.load_best(learner)
            for split in self.tests:
                predicted = self.trainer.predict(learner, split)
                found = task.counts(split.items, predicted)
                counts[split.language, split.prefix].append(found)
                if number == 0 and split.mapped:
                    self._write(split, layer, predicted)
                for name, value in task.scores(found.sum(axis=0)).items():
                    metric = f"{split.prefix}{name}"
                    line = (one, layer, chosen, split.language, metric, float(value))
                    table.append(self._line(*line))
        for (language, prefix), all_found in counts.items():
            rows += self._scores(language, prefix, layer, all_found, len(chosen))
        for one in selected:
            one.place.drop_weights()
        return rows, table

    def _scores(
        self,
        language: str,
        prefix: str,
        layer: int | None,
        counts: list[NDArray[Any]],
        settings: int,
    ) -> list[Row]:
        """Return the mean of every metric over checkpoints, with its interval."""
        task, config = self.trainer.task, self.trainer.config
        # Checkpoints are setting after setting: [A * S, N, ...] to [S, N, A, ...]
        whole = np.stack(counts).reshape(settings, len(config.seeds), *counts[0].shape)
        whole = np.moveaxis(whole, 0, 2)
        names = list(task.scores(counts[0].sum(axis=0)))
        condition = f"{self.condition}{prefix}"

        def statistic(sums: NDArray[Any]) -> NDArray[Any]:
            return np.stack([task.scores(sums)[name].mean(axis=-1) for name in names], axis=-1)

        values = statistic(whole.sum(axis=1)).mean(axis=0)
        rows: list[Row] = [
            (language, layer, f"{condition}{name}", float(value))
            for name, value in zip(names, values, strict=True)
        ]
        if config.resamples:
            ends = interval_over_seeds(whole, statistic, 0, config.resamples)
            for end, bounds in zip(("low", "high"), ends, strict=True):
                rows += [
                    (language, layer, f"{condition}{name}-{end}", float(bound))
                    for name, bound in zip(names, bounds, strict=True)
                ]
        return rows

    def _write(self, split: Split, layer: int | None, predicted: Predictions) -> None:
        task = self.trainer.task
        if self.predictions is None or not self.trainer.here.leads:
            return
        folder = self.predictions / task.name
        folder = folder if layer is None else folder / f"layer-{layer}"
        path = folder / f"{split.language}{task.ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        task.write(path, self.gold[split.language], split.items, predicted)

    def _line(
        self,
        one: Tried,
        layer: int | None,
        chosen: Sequence[Setting],
        language: str,
        metric: str,
        value: float,
    ) -> list[Any]:
        setting, progress = one.setting, one.progress
        return [
            self.condition.removesuffix(":"),
            layer,
            setting.batch_size,
            setting.encoder_rate,
            setting.head_rate,
            one.seed,
            progress.epoch,
            progress.best_epoch,
            setting in chosen,
            language,
            metric,
            value,
        ]
