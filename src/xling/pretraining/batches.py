"""Batches as pure functions of (seed, step), whatever the number of processes.

Rows of text are masked as in Conneau et al. 2020, section 3.1; a decoder sees them as they are and
predicts what comes next. For translation language modelling
(Lample and Conneau, 2019) a row is ``[CLS] source [SEP] target [SEP]``, filled with the pairs of
lines that follow. A target has the positions of its source, and the next source begins where the
longer of the two ended, so that positions show which words of the two lines belong together.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.model.anatomy import Objective
from xling.pretraining.code_switching import Switcher, spare_tokens
from xling.pretraining.config import PretrainingConfig
from xling.randomness import derive_seed, generator, permuted
from xling.tokens.streams import TokenStream
from xling.tokens.tokenise import Encoder, id_dtype
from xling.vocabulary.vocabulary import SpecialIds, Vocabulary

MASK_SHARE, RANDOM_SHARE = 0.8, 0.1


@dataclass(frozen=True)
class Masked:
    """Rows as the model sees them and what it must predict.

    Attributes:
        ids_BT: Token ids, masked if masked tokens are predicted.
        positions_P: Positions to predict at, ascending, as indices into the flattened ``B*T``.
        labels_P: The true ids: of those positions, or of those that follow them.
    """

    ids_BT: np.ndarray
    positions_P: np.ndarray
    labels_P: np.ndarray


def mask_rows(
    rows_BT: np.ndarray,
    draws: np.random.Generator,
    predicted_share: float,
    mask_id: int,
    special_ids: np.ndarray,
    replacements: np.ndarray,
) -> Masked:
    """Choose positions to predict: 80 % become the mask, 10 % a random token, 10 % stay.

    Exactly ``round(predicted_share * ordinary tokens)`` positions are drawn without
    replacement, so that the work of a batch does not vary; special tokens never are.

    Args:
        rows_BT: Token ids.
        draws: Makes all random choices.
        predicted_share: Share of the ordinary tokens to predict.
        mask_id: Id of the mask token.
        special_ids: Ids that are neither predicted nor used as replacement.
        replacements: Ids that random tokens are drawn from: the joint vocabulary, or the
            language's own where embeddings are separate.
    """
    flat = rows_BT.reshape(-1)
    keys = draws.random(flat.size, dtype=np.float32)
    keys[np.isin(flat, special_ids)] = 2.0
    ordinary = int((keys < 2.0).sum())
    count = round(predicted_share * ordinary)
    positions = (
        np.sort(np.argpartition(keys, count)[:count])
        if count < flat.size
        else (np.arange(flat.size))
    )
    labels = flat[positions]
    fate = draws.random(count)
    random_ids = replacements[draws.integers(len(replacements), size=count)]
    seen = np.where(fate < MASK_SHARE, mask_id, labels)
    seen = np.where((fate >= MASK_SHARE) & (fate < MASK_SHARE + RANDOM_SHARE), random_ids, seen)
    masked = flat.copy()
    masked[positions] = seen
    return Masked(masked.reshape(rows_BT.shape), positions, labels)


def next_tokens(rows_BT: np.ndarray, pad_id: int) -> Masked:
    """Let every token but a row's last predict the next one; nothing is masked or replaced.

    The ends of lines are predicted like all tokens, as they are in the rows of any decoder.

    Args:
        rows_BT: Token ids.
        pad_id: Id that is not predicted.
    """
    positions = np.arange(rows_BT.size).reshape(rows_BT.shape)[:, :-1].reshape(-1)
    labels = rows_BT[:, 1:].reshape(-1)
    real = labels != pad_id
    return Masked(rows_BT, positions[real], labels[real])


class PairedRows(NamedTuple):
    """Rows and the position of each token, int64 ``[B, T - 1]``: [CLS] is not among them."""

    ids: np.ndarray
    position_ids: np.ndarray


class ParallelText:
    """The lines of parallel sets in one direction, each source followed by its target.

    They are held in memory, about ten bytes per token.

    Args:
        source: Each source line's ids, followed by the separator, one after the other.
        target: The same of the target lines.
        separator: Id of [SEP].

    Attributes:
        pairs: Number of pairs of lines.
    """

    def __init__(self, source: np.ndarray, target: np.ndarray, separator: int) -> None:
        lengths_2N = np.stack([_line_lengths(side, separator) for side in (source, target)])
        self.pairs = lengths_2N.shape[1]
        lengths = lengths_2N.T.reshape(-1)
        within = _runs(lengths)
        sides = np.repeat(np.arange(len(lengths)) % 2, lengths)
        self._ids = np.empty(len(within), dtype=source.dtype)
        for number, side in enumerate((source, target)):
            self._ids[sides == number] = side
        # The position at which each pair would begin in a row that held all of them.
        longest = lengths_2N.max(axis=0)
        bases = np.cumsum(longest) - longest
        self._bases = bases
        self._places = np.repeat(np.repeat(bases, 2), lengths) + within
        self._width = int(longest.sum())
        self._starts = np.cumsum(lengths_2N.sum(axis=0)) - lengths_2N.sum(axis=0)

    def rows(self, numbers: np.ndarray, length: int, seed: int, purpose: str) -> PairedRows:
        """Return rows ``numbers`` of an endless sequence; each begins with a different pair.

        In an epoch every pair begins one row. The first pair follows the last.

        Args:
            numbers: Which rows, int ``[B]``.
            length: Tokens per row, without [CLS].
            seed: The run's.
            purpose: Keeps directions independent.
        """
        heads = np.empty(len(numbers), dtype=np.int64)
        epochs = numbers // self.pairs
        for epoch in np.unique(epochs).tolist():
            drawn = epochs == epoch
            key = derive_seed(seed, f"order of {purpose}", epoch)
            heads[drawn] = permuted(numbers[drawn] % self.pairs, self.pairs, key)
        at_BT = self._starts[heads, None] + np.arange(length)
        rounds_BT, at_BT = np.divmod(at_BT, len(self._ids))
        position_ids_BT = self._places[at_BT] + rounds_BT * self._width - self._bases[heads, None]
        return PairedRows(self._ids[at_BT].astype(np.int64), position_ids_BT + 1)


def parallel_files(
    data: DataFolder, sets: Sequence[str], languages: Sequence[str]
) -> dict[str, Path]:
    """Return the files of the sets by name (``parallel/NAME/LANG``).

    Raises:
        XlingError: A set lacks one of the languages.
    """
    files: dict[str, Path] = {}
    for name in sets:
        for language in languages:
            path = plain_or_gzipped(data.root / "parallel" / name / f"{language}.txt")
            if path is None:
                there = ", ".join(data.parallel_sets(*languages)) or "none"
                raise XlingError(
                    f"{data.root / 'parallel' / name}: no {language}.txt; tlm.sets needs sets with "
                    f"{', '.join(languages)} (there are: {there})"
                )
            files[f"parallel/{name}/{language}"] = path
    return files


def load_parallel_text(
    data: DataFolder, sets: Sequence[str], vocabulary: Vocabulary, languages: Sequence[str]
) -> Mapping[tuple[str, str], ParallelText]:
    """Tokenise the sets and return their text in every direction, by (source, target).

    Raises:
        XlingError: A set lacks a language, or its line counts differ.
    """
    parallel_files(data, sets, languages)
    separator = vocabulary.special_ids.sep
    lines: dict[str, list[str]] = {language: [] for language in languages}
    for name in sets:
        for language, found in data.parallel(name, *languages).items():
            lines[language] += found
    ids = {
        language: Encoder(
            vocabulary.tokenizer(language), separator, id_dtype(vocabulary.size)
        ).encode(lines[language])
        for language in languages
    }
    return {
        (source, target): ParallelText(ids[source], ids[target], separator)
        for source, target in permutations(languages, 2)
    }


def _line_lengths(ids: np.ndarray, separator: int) -> np.ndarray:
    """Return the tokens of each line, its separator included."""
    return np.diff(np.flatnonzero(ids == separator), prepend=-1)


def _runs(lengths: np.ndarray) -> np.ndarray:
    """Return 0 .. n - 1 for each length n, one after the other."""
    starts = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(int(lengths.sum())) - np.repeat(starts, lengths))


@dataclass(frozen=True)
class LanguageText:
    """What batches of one language are made of.

    Attributes:
        stream: Its training tokens; its number of lines decides how often it is drawn.
        replacements: Ids that random tokens are drawn from.
        switcher: Replaces words by translations; None leaves the text as it is.
        special: Ids of the language's own special tokens; None if all languages share them.
        objective: Whether masked tokens are predicted or the next ones.
    """

    stream: TokenStream
    replacements: np.ndarray
    switcher: Switcher | None = None
    special: SpecialIds | None = None
    objective: Objective = "mlm"

    def masked(
        self, body_BT: np.ndarray, draws: np.random.Generator, share: float, special: SpecialIds
    ) -> Masked:
        """Put [CLS] before rows of text and mask them; see `mask_rows` and `next_tokens`.

        Args:
            body_BT: Token ids as streams have them.
            draws: Makes all random choices.
            share: Share of the ordinary tokens to predict.
            special: Ids of special tokens in streams.
        """
        rows_BT = np.concatenate([np.full((len(body_BT), 1), special.cls), body_BT], axis=1)
        if self.objective == "clm":
            found = next_tokens(rows_BT, special.pad)
        else:
            found = mask_rows(
                rows_BT, draws, share, special.mask, np.array(special), self.replacements
            )
        if self.special is None:
            return found
        own = np.array(self.special)
        ids_BT, labels_P = (
            np.where(ids < len(own), own[ids.clip(max=len(own) - 1)], ids)
            for ids in (found.ids_BT, found.labels_P)
        )
        return Masked(ids_BT, found.positions_P, labels_P)


@dataclass(frozen=True)
class MicroBatch:
    """The rows one device runs at once, on that device.

    Attributes:
        ids_BT: Token ids as the model sees them.
        positions_P: Positions to predict at, in the flattened ``B*T``.
        labels_P: The true ids.
        position_ids_BT: The position of each token; None if it is its column.
    """

    ids_BT: Tensor
    positions_P: Tensor
    labels_P: Tensor
    position_ids_BT: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """One step's rows of one language, or of one and its translation, over all devices.

    Attributes:
        language: The language whose encoder reads the rows.
        masked: All rows, masked.
        position_ids_BT: The position of each token; None if it is its column.
        translation: The language that the rows alternate with, if any.
        others: Rows of the other languages in the same step, if it is mixed.
    """

    language: str
    masked: Masked
    position_ids_BT: np.ndarray | None = None
    translation: str | None = None
    others: "tuple[Batch, ...]" = ()

    @property
    def name(self) -> str:
        """Return what the rows are of: ``en``, ``en>fr`` where lines alternate, ``en+fr``."""
        if self.others:
            return "+".join(part.language for part in (self, *self.others))
        return f"{self.language}>{self.translation}" if self.translation else self.language

    @property
    def predicted(self) -> int:
        """Return the number of predicted positions over all devices, of all languages."""
        return len(self.masked.positions_P) + sum(part.predicted for part in self.others)

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
                if self.position_ids_BT is None
                else torch.from_numpy(self.position_ids_BT[first:last]).to(device),
            )


def language_shares(lines: Mapping[str, int], exponent: float) -> dict[str, float]:
    """Return how often each language is drawn: its share of lines, to the power, rescaled."""
    weights = np.array(list(lines.values()), dtype=np.float64)
    weights = (weights / weights.sum()) ** exponent
    return dict(zip(lines, (weights / weights.sum()).tolist(), strict=True))


def _step_shares(lines: Mapping[str, int], config: PretrainingConfig) -> dict[str, float]:
    """Return each language's share of the steps, or of the rows if steps are mixed."""
    shares = language_shares(lines, config.exponent)
    base_share = config.base_first if config.base_share is None else config.base_share
    if base_share is None:
        return shares
    base, *others = lines
    if config.base_share is not None:
        return {base: base_share} | dict.fromkeys(others, (1 - base_share) / len(others))
    rest = sum(shares[language] for language in others)
    return {base: base_share} | {k: (1 - base_share) * shares[k] / rest for k in others}


class BatchMaker:
    """Makes the batch of any step directly, so a resumed run need not replay earlier ones.

    Rows of a language are drawn without replacement until all its windows have been seen; every
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
        lines = {k: t.stream.lines for k, t in texts.items()}
        shares = _step_shares(lines, config)
        alone = 1 - config.tlm.share if config.tlm else 1
        self.shares = {language: share * alone for language, share in shares.items()}
        # [CLS] takes the first position of each row
        self.body = config.length - 1
        # Tokens to cut a row from: finding the start of a line takes up to a row more
        self.cut = self.body if config.start == "anywhere" else 2 * self.body
        self.spare = {k: spare_tokens(self.body) if t.switcher else 0 for k, t in texts.items()}
        self.windows = {k: t.stream.windows(self.cut, self.spare[k]) for k, t in texts.items()}
        for language, windows in self.windows.items():
            if windows == 0:
                raise XlingError(
                    f"{language}: {texts[language].stream.tokens} training tokens do not fill one "
                    f"row of {config.length}; give more text or a smaller length"
                )
        self.mixed_rows = self._mixed_rows() if config.mixed else {}
        # The kind of each step's rows: numbers of languages, then numbers of directions
        self._drawn = self._draw_kinds(list(shares.values()))
        self._earlier = _earlier_occurrences(self._drawn, len(shares) + len(self.parallel))

    def language(self, step: int) -> str:
        """Return whose encoder reads the rows of step ``step``."""
        kind = self._drawn[step] - len(self.languages)
        return str(self.languages[kind] if kind < 0 else self.parallel[kind][0][0])

    def batch(self, step: int) -> Batch:
        """Return the batch of step ``step`` (from 0)."""
        if self.mixed_rows:
            base, *others = (
                self._rows_of(language, step * rows + np.arange(rows), step, f" of {language}")
                for language, rows in self.mixed_rows.items()
            )
            return replace(base, others=tuple(others))
        first = int(self._earlier[step]) * self.config.rows
        numbers = np.arange(first, first + self.config.rows)
        kind = self._drawn[step] - len(self.languages)
        if kind >= 0:
            return self._paired(step, numbers, *self.parallel[kind])
        return self._rows_of(self.language(step), numbers, step)

    def _rows_of(self, language: str, numbers: np.ndarray, step: int, purpose: str = "") -> Batch:
        text = self.texts[language]
        body = self._text(language, numbers)
        if text.switcher:
            draws = generator(self.config.seed, f"switch{purpose}", step)
            body = text.switcher.switch(body, self.body, draws).rows_BT
        return Batch(language, self._masked(step, body, text, purpose))

    def _mixed_rows(self) -> dict[str, int]:
        """Divide a step's rows by the languages' shares, rounding by largest remainder."""
        exact = np.array([self.shares[language] * self.config.rows for language in self.languages])
        rows = np.floor(exact).astype(int)
        rows[np.argsort(rows - exact, kind="stable")[: self.config.rows - rows.sum()]] += 1
        found = dict(zip(self.languages, rows.tolist(), strict=True))
        if 0 in found.values():
            raise XlingError(
                f"pretraining.mixed: {min(found, key=found.__getitem__)} would have none of the "
                f"{self.config.rows} rows of a step; raise rows or its share"
            )
        return found

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
        if self.config.frozen_from is not None:
            # All steps of the base language come first, then those of the others
            draws = np.where(
                np.arange(steps) < self.config.frozen_from,
                0.0,
                bounds[0] + draws * (1 - bounds[0]),
            )
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
        masked = self._masked(step, rows.ids, self.texts[source])
        return Batch(source, masked, np.pad(rows.position_ids, ((0, 0), (1, 0))), target)

    def _masked(self, step: int, body: np.ndarray, text: LanguageText, purpose: str = "") -> Masked:
        draws = generator(self.config.seed, f"mask{purpose}", step)
        return text.masked(body, draws, self.config.predicted_share, self.special)

    def _text(self, language: str, numbers: np.ndarray) -> np.ndarray:
        """Return rows ``numbers`` of a language's endless sequence: [B, T - 1 + spare]."""
        windows, spare = self.windows[language], self.spare[language]
        text_BC = np.empty((len(numbers), self.body + spare), dtype=np.int64)
        epochs = numbers // windows
        for epoch in np.unique(epochs).tolist():
            drawn = epochs == epoch
            key = derive_seed(self.config.seed, f"order of {language}", epoch)
            order = permuted(numbers[drawn] % windows, windows, key)
            offset = derive_seed(self.config.seed, f"offset of {language}", epoch) % self.cut
            text = self.texts[language].stream.rows(order, self.cut, offset, spare)
            text_BC[drawn] = self._from_start(text, self.body + spare)
        return text_BC

    def _from_start(self, text_BC: np.ndarray, length: int) -> np.ndarray:
        """Cut ``length`` tokens per row from longer text, from the first start of a line."""
        if self.config.start == "anywhere":
            return text_BC
        ends_BT = text_BC[:, : self.body] == self.special.sep
        first_B = np.where(ends_BT.any(axis=1), ends_BT.argmax(axis=1) + 1, 0)
        return np.take_along_axis(text_BC, first_B[:, None] + np.arange(length), axis=1)


def _earlier_occurrences(values: np.ndarray, kinds: int) -> np.ndarray:
    """Return for each element how many equal ones come before it."""
    earlier = np.empty(len(values), dtype=np.int64)
    for kind in range(kinds):
        (where,) = np.nonzero(values == kind)
        earlier[where] = np.arange(len(where))
    return earlier
