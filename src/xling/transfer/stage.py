"""The stage ``transfer``: a model and a data folder in, scores and predictions out.

::

    OUT/
      scores.csv           a table of scores (xling.results)
      settings.csv         every setting and seed: dev score, and test scores of the chosen
      predictions/TASK/    of the best setting, LANG.conllu, .iob2 or .tsv

While it runs, its state is in a hidden folder next to OUT, so that the same command resumes.
"""

import glob
import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from xling import artefact
from xling.csv_tables import write_table
from xling.data.layout import DataFolder
from xling.device import AUTO
from xling.encoders.coverage import Coverage, coverage_of_tokens, warn_of_lost_text
from xling.encoders.encoders import Encoders, model_files
from xling.errors import XlingError
from xling.files import atomic_file
from xling.influence import INFLUENCE, read_influence, write_influence
from xling.pretraining.distributed import World, world
from xling.results import (
    GAP,
    SCORES,
    SUPERVISED,
    TRAINED,
    UNTRAINED,
    Score,
    as_table,
    write_scores,
)
from xling.transfer.classification import NLI, Topics
from xling.transfer.config import TransferConfig
from xling.transfer.experiment import TRIED, Experiment
from xling.transfer.features import FeatureCache
from xling.transfer.finetune import DivergedError, FineTuner
from xling.transfer.ner import NER
from xling.transfer.parsing import Parsing
from xling.transfer.regimes import FeatureRegime, FullRegime, Maps, Regime
from xling.transfer.task import AnyTask, Split, prepare, read_items

logger = logging.getLogger(__name__)

# Raised whenever the same settings and files give other scores, so that old ones are replaced.
# 2: test scores without dropout; F1 with and without repair.
SCORING = 2
SETTINGS = "settings.csv"
PREDICTIONS = "predictions"


def make_task(config: TransferConfig) -> AnyTask:
    """Return the task of a configuration, its labels not learnt yet."""
    if config.task == "parsing":
        return Parsing(config.strip_subtypes)
    if config.task == "ner":
        return NER()
    return NLI() if config.task == "nli" else Topics()


def transfer(model: str, data: Path, out: Path, config: TransferConfig, device: str = AUTO) -> None:
    """Fine-tune on the source, test on all languages, write ``OUT``; do nothing if it is current.

    Under torchrun, every process calls this.

    Args:
        model: Folder of a family, or folder or hub name of any Hugging Face encoder.
        data: Data folder.
        out: Where the results go.
        config: Task, languages and settings.
        device: Where to compute, see :func:`xling.device.choose_device`.

    Raises:
        XlingError: data or a language that is missing, an unusable model, a foreign folder.
    """
    artefact.check_output(out, "transfer", data, Path(model))
    folder = DataFolder(data)
    files = data_files(folder, config)
    languages = (config.source, *config.targets)
    weights = model_files(model, languages)
    settings = {**config.model_dump(mode="json"), "model": None if weights else model}
    inputs = weights | {f"data/{key}": path for key, path in files.items()}
    description = describe("transfer", settings, inputs)
    if artefact.is_current(out, description):
        drop_states(out, description)
        return
    run_and_write(
        out,
        description,
        lambda process, work: Run(Encoders.load(model, languages), folder, config, process, work),
        device,
    )


def describe(
    stage: str, settings: Mapping[str, object], inputs: Mapping[str, Path]
) -> dict[str, object]:
    """Describe a run's work; see :data:`SCORING`."""
    return artefact.describe(stage, {**settings, "scoring": SCORING}, inputs)


def run_and_write(
    out: Path,
    description: dict[str, object],
    make: Callable[[World, Path], "Run"],
    device: str,
) -> None:
    """Do a run's work and write its results.

    Args:
        out: Where they go.
        description: What they are made from.
        make: Gives the run for this process and the folder where its states are kept.
        device: Where to compute, see :func:`xling.device.choose_device`.
    """
    with world(device) as process, _working_folder(out, description, process) as work:
        notes = {"device": str(process.device)}
        whole = artefact.building(out, description, notes)
        building = whole if process.is_main else nullcontext(None)
        with building as temporary:
            run = make(process, work)
            scores, tried = run.everything()
            if temporary is not None:
                _write(temporary, work, scores, tried)
        process.barrier()


def data_files(folder: DataFolder, config: TransferConfig) -> dict[str, Path]:
    """Return the files to read: the source's splits, and the targets' test and supervised splits.

    Raises:
        XlingError: a file that is needed is missing.
    """
    part = make_task(config).part
    wanted = [(config.source, "train"), (config.source, "dev")]
    wanted += [(language, "test") for language in config.targets]
    if not config.targets or "test" in folder.splits(part, config.source):
        wanted.append((config.source, "test"))
    if config.supervised:
        for language in supervised_languages(folder, part, config):
            wanted += [(language, "train"), (language, "dev")]
    return {f"{language}/{split}": folder.task(part, language, split) for language, split in wanted}


def supervised_languages(folder: DataFolder, part: str, config: TransferConfig) -> list[str]:
    """Return the targets that can be trained on: those with train and dev."""
    return [
        language
        for language in config.targets
        if {"train", "dev"} <= set(folder.splits(part, language))
    ]


class Run:
    """Everything one call computes.

    Args:
        encoders: Encoders of source and targets.
        data: The data folder.
        config: Settings.
        process: This process among all.
        work: Where states are kept.
        maps: Learns, from the encoders of a condition, the maps from the states of targets into the
            source's space (feature regime). Targets are then also tested without a map.
    """

    def __init__(
        self,
        encoders: Encoders,
        data: DataFolder,
        config: TransferConfig,
        process: World,
        work: Path,
        maps: Callable[[Encoders], Maps] | None = None,
    ) -> None:
        if maps and config.regime != "feature":
            raise XlingError("maps between two models need regime: feature")
        self._encoders = encoders
        self._data = data
        self._config = config
        self._process = process
        self._work = work
        self._maps = maps
        self.task = make_task(config)
        self.probe = f"{'context' if maps else 'transfer'}-{config.task}"

    def everything(self) -> tuple[list[Score], list[list[object]]]:
        """Return all scores, and rows of settings."""
        config = self._config
        files = data_files(self._data, config)
        languages = [key.partition("/")[0] for key in files if key.endswith("/test")]
        tests = {code: self._items(code, "test") for code in languages}
        train = self._items(config.source, "train")
        self.task.learn_labels(train)
        rows = [row for code in languages for row in self._without_model(code, train, tests[code])]
        done = [self._condition(TRAINED, self._encoders, config.source, languages)]
        if config.random:
            untrained = self._encoders.untrained(config.seeds[0])
            done.append(self._condition(UNTRAINED, untrained, config.source, languages))
        if config.supervised:
            for code in supervised_languages(self._data, self.task.part, config):
                done.append(self._condition(SUPERVISED, self._encoders, code, [code]))
        for scores, _ in done:
            rows += scores
        return rows + self._gaps(rows), [line for _, tried in done for line in tried]

    def _condition(
        self, condition: str, encoders: Encoders, source: str, languages: list[str]
    ) -> tuple[list[Score], list[list[object]]]:
        config, task = self._config, make_task(self._config)
        items = {(source, split): self._items(source, split) for split in ("train", "dev")}
        items |= {(code, "test"): self._items(code, "test") for code in languages}
        task.learn_labels(items[source, "train"])
        splits = {
            key: prepare(task, encoders.of[key[0]], key[1], found) for key, found in items.items()
        }
        maps = self._maps(encoders) if self._maps else {}
        tests = [splits[code, "test"] for code in languages]
        tests += [
            replace(splits[code, "test"], mapped=False)
            for code in languages
            if code in maps and _same_width(encoders, source, code)
        ]
        folder = self._work / f"{condition}-{source}"
        regime = self._regime(encoders, source, list(splits.values()), maps)
        experiment = Experiment(
            probe=self.probe,
            condition=condition,
            trainer=FineTuner(
                task, config, splits[source, "train"], splits[source, "dev"], self._process
            ),
            tests=tests,
            folder=folder,
            predictions=self._work / PREDICTIONS if condition == TRAINED else None,
            gold={code: self._data.task(task.part, code, "test") for code in languages},
        )
        rows: list[Score] = []
        if condition == TRAINED:
            rows = _coverage(self.probe, task, list(splits.values()))
            if self._process.is_main:
                _warn_of_lost_text(task, encoders, list(splits.values()))
        tried: list[list[object]] = []
        for layer in regime.layers:
            scores, lines = experiment.run(partial(regime.learner, task, layer), layer)
            rows += scores
            tried += lines
        regime.close()
        return rows, tried

    def _regime(self, encoders: Encoders, source: str, splits: list[Split], maps: Maps) -> Regime:
        device = self._process.device
        if self._config.regime == "full":
            return FullRegime(encoders, source, splits, device)
        cache = FeatureCache(self._work / "features", self._config.batch_tokens, self._process)
        return FeatureRegime(encoders, source, self._config, cache, splits, device, maps)

    def _items(self, language: str, split: str) -> list[Any]:
        most = {"train": self._config.train_sentences, "dev": self._config.dev_sentences}
        shuffled = split == "train"
        return read_items(self.task, self._data, language, split, most.get(split, 0), shuffled)

    def _without_model(self, language: str, train: list[Any], test: list[Any]) -> Iterator[Score]:
        of_language = Score(self.probe, self.task.part, language, n=len(test))
        for (baseline, metric), value in self.task.baselines(train, test).items():
            yield of_language._replace(condition=baseline, metric=metric, value=float(value))

    def _gaps(self, rows: list[Score]) -> list[Score]:
        """Return how far zero-shot falls short of training on the target itself."""
        found = {row.key: row for row in rows if row.metric == self.task.metric}
        gaps = []
        for key, row in found.items():
            if key.condition == SUPERVISED:
                gap = row.value - found[key._replace(condition=TRAINED)].value
                gaps.append(key._replace(condition=GAP).score(gap, n=row.n))
        return gaps


def _same_width(encoders: Encoders, source: str, target: str) -> bool:
    """Tell whether states of the target fit layers trained on the source's without a map."""
    one, other = (encoders.of[code].model.config.hidden_size for code in (source, target))
    return bool(one == other)


def _coverage(probe: str, task: AnyTask, splits: list[Split]) -> list[Score]:
    """Return how much of the test data the model sees, and labels no training sentence has."""
    rows: list[Score] = []
    for split in splits:
        if split.name != "test":
            continue
        unseen = [(numbers < 0).mean() for name, numbers in split.gold.items() if name != "head"]
        of_split = Score(probe, task.part, split.language, n=len(split.windows))
        rows += [
            of_split._replace(metric=metric, value=float(value))
            for metric, value in (
                ("sentences", len(split.windows)),
                ("truncated", split.windows.truncated),
                ("unseen-labels", max(unseen)),
            )
        ]
        if max(unseen) > 0:
            logger.warning(
                "%s %s test: %.2f %% of the gold labels never occur in training and count as wrong",
                task.name,
                split.language,
                100 * max(unseen),
            )
    return rows


def drop_states(out: Path, description: dict[str, object]) -> None:
    """Delete the states of work that is done: a run may be killed before it does so itself."""
    shutil.rmtree(_states_folder(out, description), ignore_errors=True)


def _warn_of_lost_text(task: AnyTask, encoders: Encoders, splits: list[Split]) -> None:
    seen: dict[str, list[Coverage]] = {}
    for split in splits:
        coverage = coverage_of_tokens(encoders.of[split.language], split.windows)
        seen.setdefault(split.name, []).append(coverage)
    for name, parts in seen.items():
        warn_of_lost_text(f"{task.name} {name}", parts)


@contextmanager
def _working_folder(out: Path, description: dict[str, object], process: World) -> Iterator[Path]:
    """Yield the hidden folder for exactly this work, next to ``out``.

    It is deleted once the work is done, or can never be done because all settings diverged.
    """
    work = _states_folder(out, description)
    if process.is_main and out.parent.is_dir():
        for left in out.parent.glob(f"{glob.escape(_prefix(out))}*"):
            if left != work:  # of other settings, which this call replaces
                shutil.rmtree(left, ignore_errors=True)
    process.barrier()
    try:
        yield work
    except DivergedError:
        process.barrier()  # every process found out
        if process.is_main:
            drop_states(out, description)
        raise
    if process.is_main:
        drop_states(out, description)


def _states_folder(out: Path, description: dict[str, object]) -> Path:
    digest = hashlib.blake2b(json.dumps(description, sort_keys=True).encode(), digest_size=8)
    return out.with_name(_prefix(out) + digest.hexdigest())


def _prefix(out: Path) -> str:
    return f".{out.name}.work-"


def _write(folder: Path, work: Path, scores: list[Score], tried: list[list[object]]) -> None:
    import pandas as pd

    write_scores(as_table(scores), folder / SCORES)
    settings = pd.DataFrame(tried, columns=list(TRIED)).astype({"layer": "Int64"})
    with atomic_file(folder / SETTINGS) as file:
        write_table(settings, file)
    write_influence(folder, read_influence(path.parent for path in sorted(work.rglob(INFLUENCE))))
    # A copy: a run that is stopped before the folder gets its name finds everything in place.
    shutil.copytree(work / PREDICTIONS, folder / PREDICTIONS)
