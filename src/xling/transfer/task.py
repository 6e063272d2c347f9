"""What fine-tuning must know about a task."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from xling.bootstrap import Counts
from xling.data.layout import DataFolder
from xling.encoders.batches import Ints
from xling.encoders.encoder import Encoder
from xling.encoders.windows import Windows
from xling.errors import XlingError
from xling.randomness import generator
from xling.results import TRAINED, UNMAPPED
from xling.transfer.heads import Predictions

Item = TypeVar("Item")  # a sentence with its gold


class Task(ABC, Generic[Item]):
    """One task with the labels of one training set.

    Attributes:
        name: Name, as in the settings.
        part: Folder in the data layout.
        metric: The score that selection and reports use.
        ending: Ending of prediction files.
        of_words: Whether a unit is a word, not a sentence.
    """

    name: ClassVar[str]
    part: ClassVar[str]
    metric: ClassVar[str]
    ending: ClassVar[str]
    of_words: ClassVar[bool]

    @abstractmethod
    def read(self, data: DataFolder, language: str, split: str) -> list[Item]:
        """Return the sentences of a split with their gold."""

    @abstractmethod
    def learn_labels(self, items: Sequence[Item]) -> None:
        """Take over the labels of the training sentences."""

    @abstractmethod
    def windows(self, encoder: Encoder, items: Sequence[Item]) -> Windows:
        """Tokenise sentences."""

    @abstractmethod
    def gold(self, items: Sequence[Item]) -> dict[str, Ints]:
        """Return the gold numbers of each unit, by name; -1 for a label unseen in training."""

    @abstractmethod
    def head(self, width: int) -> nn.Module:
        """Return an untrained head on states of some width.

        It maps hidden states [B, L, d] and their `Batch` to scores, and has the methods ``loss``
        (summed over units), ``broken`` and ``predict`` of the heads in `xling.transfer.heads`.
        """

    @abstractmethod
    def counts(self, items: Sequence[Item], predictions: Predictions) -> Ints:
        """Return what each sentence adds to the score: [N, K]."""

    @abstractmethod
    def scores(self, totals: Counts) -> dict[str, NDArray[np.float64]]:
        """Return metrics by name from summed counts [..., K]."""

    @abstractmethod
    def baselines(
        self, train: Sequence[Item], test: Sequence[Item]
    ) -> Mapping[tuple[str, str], float]:
        """Return scores that need no model, by baseline (e.g. ``majority``) and metric."""

    @abstractmethod
    def write(
        self, path: Path, gold: Path, items: Sequence[Item], predictions: Predictions
    ) -> None:
        """Write predictions of the sentences of the file ``gold`` in its own format."""


AnyTask = Task[Any]  # only the task itself looks into its sentences


@dataclass(frozen=True, eq=False)
class Split:
    """Sentences of one language and split, ready for an encoder.

    Attributes:
        language: Language code.
        name: ``train``, ``dev`` or ``test``.
        items: The sentences with their gold.
        windows: Their tokens.
        gold: Gold numbers of each unit.
        mapped: Whether its states go through the map of its language, if there is one.
    """

    language: str
    name: str
    items: list[Any]
    windows: Windows
    gold: dict[str, Ints]
    mapped: bool = True

    @property
    def condition(self) -> str:
        """The condition of these sentences' scores."""
        return TRAINED if self.mapped else UNMAPPED

    def units(self, task: AnyTask, sentences: Ints) -> int:
        """Return how many units some sentences have."""
        if not task.of_words:
            return len(sentences)
        starts = self.windows.word_starts
        return int((starts[sentences + 1] - starts[sentences]).sum())


def read_items(
    task: Task[Item], data: DataFolder, language: str, split: str, most: int, shuffled: bool = False
) -> list[Item]:
    """Return the sentences of a split.

    Args:
        task: Which.
        data: The data folder.
        language: Language code.
        split: ``train``, ``dev`` or ``test``.
        most: How many at most; 0 for all.
        shuffled: Draw them instead of taking the first (files are often ordered by source).

    Raises:
        XlingError: no such file, a fault in it, or no sentence.
    """
    items = task.read(data, language, split)
    if not items:
        raise XlingError(f"{data.task(task.part, language, split)}: holds no sentence")
    if not most or most >= len(items):
        return items
    if not shuffled:
        return items[:most]
    chosen = generator(0, "training sentences").permutation(len(items))[:most]
    return [items[number] for number in sorted(chosen)]


def prepare(task: Task[Item], encoder: Encoder, split: str, items: list[Item]) -> Split:
    """Tokenise sentences for the encoder of their language."""
    windows = task.windows(encoder, items)
    return Split(encoder.language, split, items, windows, task.gold(items))
