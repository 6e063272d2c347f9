"""Tasks with one label per sentence: inference (NLI) and topics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from xling.bootstrap import Counts, ratio
from xling.data.layout import DataFolder
from xling.encoders.batches import Ints
from xling.encoders.encoder import Encoder
from xling.encoders.windows import Windows, pair_windows, text_windows
from xling.errors import XlingError
from xling.results import CHANCE
from xling.transfer.heads import FirstTokenHead, MeanHead, Predictions
from xling.transfer.predictions import write_labels
from xling.transfer.task import Task

Triple = tuple[str, str, str]


class _Classification(Task[Triple]):
    """Items are triples, of which ``label_column`` holds the label."""

    label_column: int
    metric = "accuracy"
    ending = ".tsv"
    of_words = False

    def __init__(self) -> None:
        self.labels: tuple[str, ...] = ()

    def learn_labels(self, items: Sequence[Triple]) -> None:
        """Take over the labels of the training sentences."""
        self.labels = tuple(sorted({item[self.label_column] for item in items}))

    def gold(self, items: Sequence[Triple]) -> dict[str, Ints]:
        """Return the gold numbers of each unit, by name; -1 for a label unseen in training."""
        numbers = {label: number for number, label in enumerate(self.labels)}
        found = [numbers.get(item[self.label_column], -1) for item in items]
        return {"label": np.array(found, dtype=np.int64)}

    def counts(self, items: Sequence[Triple], predictions: Predictions) -> Ints:
        """Return [N, 2]: whether the label is right, and 1."""
        right = self.gold(items)["label"] == predictions["label"]
        return np.stack([right, np.ones_like(right)], axis=1).astype(np.int64)

    def scores(self, totals: Counts) -> dict[str, NDArray[np.float64]]:
        """Return metrics by name from summed counts."""
        return {"accuracy": ratio(totals[..., 0], totals[..., 1])}

    def baselines(
        self, train: Sequence[Triple], test: Sequence[Triple]
    ) -> Mapping[tuple[str, str], float]:
        """Return scores that need no model, by baseline and metric."""
        majority = majority_label(item[self.label_column] for item in train)
        hits = [item[self.label_column] == majority for item in test]
        return {
            ("majority", "accuracy"): sum(hits) / len(hits),
            (CHANCE, "accuracy"): 1 / len(self.labels),
        }

    def write(
        self, path: Path, gold: Path, items: Sequence[Triple], predictions: Predictions
    ) -> None:
        """Write predictions in the form of the gold file."""
        labels = [self.labels[number] for number in predictions["label"].tolist()]
        column = self.label_column
        rows = (
            [*item[:column], label, *item[column + 1 :]]
            for item, label in zip(items, labels, strict=True)
        )
        write_labels(path, rows)


class NLI(_Classification):
    """Whether a premise entails a hypothesis: linear on the first token."""

    name = "nli"
    part = "nli"
    label_column = 2

    def read(self, data: DataFolder, language: str, split: str) -> list[Triple]:
        """Return the sentences of a split with their gold."""
        return data.nli(language, split)

    def windows(self, encoder: Encoder, items: Sequence[Triple]) -> Windows:
        """Tokenise sentences."""
        return pair_windows(encoder, [(premise, hypothesis) for premise, hypothesis, _ in items])

    def head(self, width: int) -> nn.Module:
        """Return an untrained head."""
        return FirstTokenHead(width, len(self.labels))


class Topics(_Classification):
    """What a text is about: linear on the mean of its tokens."""

    name = "topics"
    part = "topics"
    label_column = 1

    def read(self, data: DataFolder, language: str, split: str) -> list[Triple]:
        """Return the sentences of a split with their gold."""
        return data.topics(language, split)

    def windows(self, encoder: Encoder, items: Sequence[Triple]) -> Windows:
        """Tokenise sentences."""
        return text_windows(encoder, [text for _, _, text in items])

    def head(self, width: int) -> nn.Module:
        """Return an untrained head."""
        return MeanHead(width, len(self.labels))


def majority_label(labels: Iterable[str]) -> str:
    """Return the commonest label: the baseline of NLI and topics; chance is 1 / labels.

    Raises:
        XlingError: There are no labels.
    """
    commonest = Counter(labels).most_common(1)
    if not commonest:
        raise XlingError("found no training data for the majority baseline; expected some")
    return commonest[0][0]
