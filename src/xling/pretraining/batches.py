"""Batches as pure functions of (seed, step), whatever the number of processes."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xling.errors import XlingError
from xling.pretraining.config import PretrainingConfig
from xling.pretraining.masking import Masked, mask_rows
from xling.pretraining.switching import Switcher, spare_tokens
from xling.pretraining.tlm import ParallelText
from xling.randomness import derive_seed, generator, permuted
from xling.tokens.streams import TokenStream
from xling.vocabulary.vocabulary import SpecialIds


@dataclass(frozen=True)
class LanguageText:
    """What batches of one language are made of.

    Attributes:
        stream: Its training tokens; its number of lines decides how often it is drawn.
        replacements: Ids that random tokens are drawn from.
        switcher: Replaces words by translations; None for text as it is.
    """

    stream: TokenStream
    replacements: np.ndarray
    switcher: Switcher | None = None


@dataclass(frozen=True)
class MicroBatch:
    """The rows one device runs at once, on that device.

    Attributes:
        ids_BT: Token ids after masking.
        positions_P: Predicted positions in the flattened ``B*T``.
        labels_P: True ids there.
        places_BT: The position of each token; None if it is its column.
    """

    ids_BT: Tensor
    positions_P: Tensor
    labels_P: Tensor
    places_BT: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """One step's rows of one language, or of one and its translation, over all devices.

    Attributes:
        language: Whose encoder reads the rows.
        masked: All rows, masked.
        places_BT: The position of each token; None if it is its column.
        translation: The language that the rows alternate with, if any.
    """

    language: str
    masked: Masked
    places_BT: np.ndarray | None = None
    translation: str | None = None

    @property
    def name(self) -> str:
        """Return what the rows are of: ``en``, or ``en>fr`` where lines alternate."""
        return f"{self.language}>{self.translation}" if self.translation else self.language

    @property
    def predicted(self) -> int:
        """Return the number of predicted positions over all devices."""
        return len(self.masked.positions_P)

    def micro_batches(
        self, rank: int, size: int, accumulation: int, device: torch.device
    ) -> Iterator[MicroBatch]:
        """Yield the parts that process ``rank`` of ``size`` runs, one after the other."""
        rows, length = self.masked.ids_BT.shape
        parts = size * accumulation
        for number in range(rank * accumulation, (rank + 1) * accumulation):
            first, last = rows * number // parts, rows * (number + 1) // parts
            low, high = np.searchsorted(self.masked.positions_P, (first * length, last * length))
            yield MicroBatch(
                torch.from_numpy(self.masked.ids_BT[first:last]).to(device),
                torch.from_numpy(self.masked.positions_P[low:high] - first * length).to(device),
                torch.from_numpy(self.masked.labels_P[low:high]).to(device),
                None
                if self.places_BT is None
                else torch.from_numpy(self.places_BT[first:last]).to(device),
            )


def language_shares(lines: Mapping[str, int], exponent: float) -> dict[str, float]:
    """Return how often each language is drawn: its share of lines, to the power, rescaled."""
    weights = np.array(list(lines.values()), dtype=np.float64)
    weights = (weights / weights.sum()) ** exponent
    return dict(zip(lines, (weights / weights.sum()).tolist(), strict=True))


class BatchMaker:
    """Makes the batch of any step directly: resuming skips nothing and replays nothing.

    Rows of a language are drawn without replacement until all its windows were seen; every
    such epoch has its own order and window offset.

    Args:
        texts: Language to what its batches are made of.
        config: Rows, length, exponent, seed, steps.
        special: Special ids, shared by the languages.
        parallel: Parallel text by direction, if the settings ask for steps of it.

    Raises:
        XlingError: a language with less text than one row.
    """

    def __init__(
        self,
        texts: Mapping[str, LanguageText],
        config: PretrainingConfig,
        special: SpecialIds,
        parallel: Mapping[tuple[str, str], ParallelText] | None = None,
    ) -> None:
        self.texts = dict(texts)
        self.config = config
        self.special = special
        self.languages = tuple(texts)
        self.parallel = list((parallel or {}).items())
        shares = language_shares({k: t.stream.lines for k, t in texts.items()}, config.exponent)
        alone = 1 - config.tlm.share if config.tlm else 1
        self.shares = {language: share * alone for language, share in shares.items()}
        # [CLS] takes the first place of each row
        self.body = config.length - 1
        # Text to cut a row from: looking for the start of a line takes up to a row more
        self.cut = self.body if config.start == "anywhere" else 2 * self.body
        self.spare = {k: spare_tokens(self.body) if t.switcher else 0 for k, t in texts.items()}
        self.windows = {k: t.stream.windows(self.cut, self.spare[k]) for k, t in texts.items()}
        for language, windows in self.windows.items():
            if windows == 0:
                raise XlingError(
                    f"{language}: {texts[language].stream.tokens} training tokens do not fill one "
                    f"row of {config.length}; give more text or a smaller length"
                )
        # Each step's kind of rows: a language's, or, after these, a direction's
        self._drawn = self._draw_kinds(list(shares.values()))
        self._earlier = _earlier_occurrences(self._drawn, len(shares) + len(self.parallel))

    def language(self, step: int) -> str:
        """Return whose encoder reads the rows of step ``step``."""
        kind = self._drawn[step] - len(self.languages)
        return self.languages[kind] if kind < 0 else self.parallel[kind][0][0]

    def batch(self, step: int) -> Batch:
        """Return the batch of step ``step`` (from 0)."""
        first = int(self._earlier[step]) * self.config.rows
        numbers = np.arange(first, first + self.config.rows)
        kind = self._drawn[step] - len(self.languages)
        if kind >= 0:
            return self._paired(step, numbers, *self.parallel[kind])
        language = self.language(step)
        text = self.texts[language]
        body = self._text(language, numbers)
        if text.switcher:
            draws = generator(self.config.seed, "switch", step)
            body = text.switcher.switch(body, self.body, draws).rows_BT
        return Batch(language, self._masked(step, body, text.replacements))

    def batches(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps ``first`` to ``last - 1``, made one ahead."""
        if first >= last:
            return
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batch, first)
            for step in range(first + 1, last + 1):
                batch = coming.result()
                if step < last:
                    coming = ahead.submit(self.batch, step)
                yield batch

    def _draw_kinds(self, shares: list[float]) -> np.ndarray:
        seed, steps = self.config.seed, self.config.steps
        bounds = np.cumsum(shares)
        draws = generator(seed, "language").random(steps)
        drawn = np.minimum(np.searchsorted(bounds, draws, side="right"), len(bounds) - 1)
        if self.config.tlm is None:
            return drawn
        paired = generator(seed, "translation").random(steps) < self.config.tlm.share
        directions = generator(seed, "direction").integers(len(self.parallel), size=steps)
        return np.where(paired, len(bounds) + directions, drawn)

    def _paired(
        self, step: int, numbers: np.ndarray, direction: tuple[str, str], text: ParallelText
    ) -> Batch:
        source, target = direction
        rows = text.rows(numbers, self.body, self.config.seed, f"{source}>{target}")
        masked = self._masked(step, rows.ids, self.texts[source].replacements)
        return Batch(source, masked, np.pad(rows.places, ((0, 0), (1, 0))), target)

    def _masked(self, step: int, body: np.ndarray, replacements: np.ndarray) -> Masked:
        return mask_rows(
            np.concatenate([np.full((len(body), 1), self.special.cls), body], axis=1),
            generator(self.config.seed, "mask", step),
            self.config.predicted_share,
            self.special.mask,
            np.array(self.special),
            replacements,
        )

    def _text(self, language: str, numbers: np.ndarray) -> np.ndarray:
        """Return rows ``numbers`` of a language's endless sequence: [B, T - 1 + spare]."""
        windows, spare = self.windows[language], self.spare[language]
        text_BC = np.empty((len(numbers), self.body + spare), dtype=np.int64)
        epochs = numbers // windows
        for epoch in np.unique(epochs).tolist():
            here = epochs == epoch
            key = derive_seed(self.config.seed, f"order of {language}", epoch)
            order = permuted(numbers[here] % windows, windows, key)
            offset = derive_seed(self.config.seed, f"offset of {language}", epoch) % self.cut
            text = self.texts[language].stream.rows(order, self.cut, offset, spare)
            text_BC[here] = self._from_start(text, self.body + spare)
        return text_BC

    def _from_start(self, text_BC: np.ndarray, length: int) -> np.ndarray:
        """Cut ``length`` tokens per row from longer text: from the first line in reach."""
        if self.config.start == "anywhere":
            return text_BC
        ends_BT = text_BC[:, : self.body] == self.special.sep
        first_B = np.where(ends_BT.any(axis=1), ends_BT.argmax(axis=1) + 1, 0)
        return np.take_along_axis(text_BC, first_B[:, None] + np.arange(length), axis=1)


def _earlier_occurrences(values: np.ndarray, kinds: int) -> np.ndarray:
    """Return for each element how many equal ones stand before it."""
    earlier = np.empty(len(values), dtype=np.int64)
    for kind in range(kinds):
        (where,) = np.nonzero(values == kind)
        earlier[where] = np.arange(len(where))
    return earlier
