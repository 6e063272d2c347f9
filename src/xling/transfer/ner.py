"""Named entities: BIO tags, linear on each word's first subword with text."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from xling.bootstrap import Counts
from xling.data.layout import DataFolder
from xling.encoders.batches import Ints
from xling.encoders.encoder import Encoder
from xling.encoders.windows import Windows, word_windows
from xling.errors import XlingError
from xling.transfer.heads import Predictions, WordHead
from xling.transfer.predictions import write_iob2
from xling.transfer.spans import TagLookup, entity_types, micro_f1, repair, span_counts
from xling.transfer.task import Task

Tagged = tuple[list[str], list[str]]


class NER(Task[Tagged]):
    """Items are (tokens, tags)."""

    name = "ner"
    part = "ner"
    metric = "f1"
    ending = ".iob2"
    of_words = True

    def __init__(self) -> None:
        self.tags: tuple[str, ...] = ()

    def read(self, data: DataFolder, language: str, split: str) -> list[Tagged]:
        """Return the sentences of a split with their gold.

        Raises:
            XlingError: it has no entity, so that there is nothing to learn or to find.
        """
        items = list(data.ner(language, split))
        if items and all(tag == "O" for _, tags in items for tag in tags):
            raise XlingError(
                f"{data.task(self.part, language, split)}: every tag is O, expected at least one "
                "entity (B-X)"
            )
        return items

    def learn_labels(self, items: Sequence[Tagged]) -> None:
        """Take over the labels of the training sentences."""
        self.tags = tuple(sorted({"O", *chain.from_iterable(tags for _, tags in items)}))

    def windows(self, encoder: Encoder, items: Sequence[Tagged]) -> Windows:
        """Tokenise sentences."""
        return word_windows(encoder, [tokens for tokens, _ in items])

    def gold(self, items: Sequence[Tagged]) -> dict[str, Ints]:
        """Return the gold numbers of each unit, by name; -1 for a label unseen in training."""
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        found = [numbers.get(tag, -1) for _, tags in items for tag in tags]
        return {"label": np.array(found, dtype=np.int64)}

    def head(self, width: int) -> nn.Module:
        """Return an untrained head."""
        return WordHead(width, len(self.tags))

    def counts(self, items: Sequence[Tagged], predictions: Predictions) -> Ints:
        """Return [N, 2, T, 3], with the paper's repair and without it.

        Types are those of training and of these items.
        """
        gold, found = [tags for _, tags in items], self._tags(items, predictions)
        types = self._types(items)
        counts = [span_counts(gold, found, types, repaired) for repaired in (True, False)]
        return np.stack(counts, axis=1)

    def scores(self, totals: Counts) -> dict[str, NDArray[np.float64]]:
        """Return metrics by name from summed counts."""
        repaired, as_predicted = totals[..., 0, :, :], totals[..., 1, :, :]
        return {"f1": micro_f1(repaired), "f1-without-repair": micro_f1(as_predicted)}

    def baselines(
        self, train: Sequence[Tagged], test: Sequence[Tagged]
    ) -> Mapping[tuple[str, str], float]:
        """Return scores that need no model, by baseline and metric."""
        guesses = TagLookup.learn(train)
        tags = [guesses.predict(tokens) for tokens, _ in test]
        totals = span_counts([gold for _, gold in test], tags, self._types(test)).sum(axis=0)
        return {("lookup", "f1"): float(micro_f1(totals))}

    def write(
        self, path: Path, gold: Path, items: Sequence[Tagged], predictions: Predictions
    ) -> None:
        """Write predictions in the form of the gold file."""
        tags = map(repair, self._tags(items, predictions))
        write_iob2(path, zip((tokens for tokens, _ in items), tags, strict=True))

    def _types(self, items: Sequence[Tagged]) -> tuple[str, ...]:
        return entity_types([self.tags], [tags for _, tags in items])

    def _tags(self, items: Sequence[Tagged], predictions: Predictions) -> list[list[str]]:
        names = np.array(self.tags, dtype=object)[predictions["label"]].tolist()
        ends = np.cumsum([len(tokens) for tokens, _ in items]).tolist()
        return [names[a:b] for a, b in zip([0, *ends], ends, strict=False)]
