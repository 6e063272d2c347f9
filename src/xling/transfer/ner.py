"""Named entities: BIO tags, linear on each word's first subword."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from xling.data.layout import DataFolder
from xling.files import atomic_file
from xling.similarity.encoder import Encoder
from xling.transfer.heads import Predictions, WordHead
from xling.transfer.spans import entity_types, f1, micro_f1, repair, span_counts
from xling.transfer.task import Task
from xling.transfer.words import Ints, Windows, word_windows


class NER(Task):
    """Items are (tokens, tags)."""

    name = "ner"
    part = "ner"
    metric = "f1"
    ending = ".iob2"
    of_words = True

    def __init__(self) -> None:
        self.tags: tuple[str, ...] = ()

    def read(self, data: DataFolder, language: str, split: str) -> list[Any]:
        return list(data.ner(language, split))

    def learn_labels(self, items: Sequence[Any]) -> None:
        self.tags = tuple(sorted({"O", *chain.from_iterable(tags for _, tags in items)}))

    def windows(self, encoder: Encoder, items: Sequence[Any]) -> Windows:
        return word_windows(encoder, [tokens for tokens, _ in items])

    def gold(self, items: Sequence[Any]) -> dict[str, Ints]:
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        found = [numbers.get(tag, -1) for _, tags in items for tag in tags]
        return {"label": np.array(found, dtype=np.int64)}

    def head(self, width: int) -> nn.Module:
        return WordHead(width, len(self.tags))

    def counts(self, items: Sequence[Any], predictions: Predictions) -> NDArray[Any]:
        """Return [N, T, 3]; types are those of training and, after them, of these items."""
        gold = [tags for _, tags in items]
        return span_counts(gold, self._tags(items, predictions), self._types(items))

    def scores(self, totals: NDArray[Any]) -> dict[str, NDArray[Any]]:
        return {"f1": micro_f1(totals)}

    def baselines(self, train: Sequence[Any], test: Sequence[Any]) -> Mapping[str, float]:
        return {}

    def write(self, path: Path, items: Sequence[Any], predictions: Predictions) -> None:
        with atomic_file(path) as file:
            for (tokens, _), tags in zip(items, self._tags(items, predictions), strict=True):
                for token, tag in zip(tokens, repair(tags), strict=True):
                    file.write(f"{token}\t{tag}\n")
                file.write("\n")

    def _types(self, items: Sequence[Any]) -> tuple[str, ...]:
        return entity_types([self.tags], [tags for _, tags in items])

    def _tags(self, items: Sequence[Any], predictions: Predictions) -> list[list[str]]:
        names = np.array(self.tags, dtype=object)[predictions["label"]].tolist()
        ends = np.cumsum([len(tokens) for tokens, _ in items]).tolist()
        return [names[a:b] for a, b in zip([0, *ends], ends, strict=False)]
