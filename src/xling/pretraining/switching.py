"""Code-switching: translations replace words of a batch.

Conneau et al. 2020, section 4, extra-anchors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from xling.data.layout import DataFolder
from xling.pretraining.config import CodeSwitching
from xling.tokens.counts import word_hashes
from xling.vocabulary.code_switching import Switches, compile_switches
from xling.vocabulary.vocabulary import Vocabulary


class Switched(NamedTuple):
    """Rows after code-switching, and what was done.

    Attributes:
        rows_BT: Token ids, int64.
        words: Words in the rows, cut ones at their ends included.
        found: How many of them the dictionary has.
        switched: How many of them were replaced.
    """

    rows_BT: np.ndarray
    words: int
    found: int
    switched: int


def spare_tokens(length: int) -> int:
    """Return how much more text to cut than a row of ``length``: translations may be shorter."""
    return min(length, length // 4 + 16)


class Switcher:
    """Replaces words of one language's text.

    Args:
        switches: Words and their translations.
        word_starts: Which ids begin a word, bool ``[V]``.
        separator: Id of [SEP], which is no word.
        config: How many to replace.
    """

    def __init__(
        self,
        switches: Switches,
        word_starts: np.ndarray,
        separator: int,
        config: CodeSwitching,
    ) -> None:
        hashes = word_hashes(switches.words.ids, switches.words.starts[:-1])
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._entry = switches.entry[order]
        self._switches = switches
        self._lengths = switches.translations.lengths
        self._word_starts = word_starts
        self._separator = separator
        self._config = config

    def switch(self, text_BC: np.ndarray, length: int, draws: np.random.Generator) -> Switched:
        """Cut rows from text in which words are replaced by translations drawn by weight.

        Every word the dictionary has is replaced with the probability of the settings. If more
        than the greatest share of the words in the rows would be, the draws decide which are
        not, so that each is as likely to stay. In a row, no more is replaced than leaves enough
        text to fill it.

        Args:
            text_BC: Token ids, longer than the rows by ``spare_tokens(length)``, which decides
                how far a row may shrink.
            length: Tokens per row, T.
            draws: Decides everything.
        """
        flat, units = text_BC.reshape(-1), _Units(text_BC, self._word_starts, self._separator)
        place, found = self._look_up(flat, units)
        keys, choices = draws.random(len(found)), draws.random(len(found))
        drawn = keys < self._config.probability
        picks, keys = found[drawn], keys[drawn]
        translations = self._draw(self._entry[place[picks]], choices[drawn])
        lengths = self._lengths[translations]
        room = text_BC.shape[1] - length
        fits = units.running_loss(picks, units.lengths[picks] - lengths) <= room
        picks, keys, translations, lengths = (
            values[fits] for values in (picks, keys, translations, lengths)
        )
        active, layout = self._within_share(units, length, picks, keys, lengths)
        sources = units.firsts.copy()
        targets = self._switches.translations
        sources[picks[active]] = len(flat) + targets.starts[translations[active]]
        pool = np.concatenate([flat, targets.ids])
        return Switched(
            layout.gather(pool, sources).reshape(-1, length),
            words=layout.words,
            found=int(layout.kept[found].sum()),
            switched=int(layout.kept[picks[active]].sum()),
        )

    def _look_up(self, flat: np.ndarray, units: "_Units") -> tuple[np.ndarray, np.ndarray]:
        """Return each unit's place in the table, and the numbers of the units that are in it."""
        hashes = word_hashes(flat, units.firsts)
        place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        # The last word of the text may have been cut, and what is left be another word.
        return place, np.flatnonzero((self._hashes[place] == hashes) & ~units.last)

    def _draw(self, entries: np.ndarray, choices: np.ndarray) -> np.ndarray:
        """Return a translation of each entry, drawn by weight."""
        found = np.searchsorted(self._switches.cumulative, entries + choices, side="right")
        return np.minimum(found, self._switches.bounds[entries + 1] - 1)

    def _within_share(
        self,
        units: "_Units",
        length: int,
        picks: np.ndarray,
        keys: np.ndarray,
        lengths: np.ndarray,
    ) -> tuple[np.ndarray, "_Layout"]:
        """Return which picks to replace, and how the rows are then laid out.

        What is replaced decides what fits into the rows and so how many words they have: the
        bound on the keys is lowered until the share holds for the rows as they come out.
        """
        bound = 1.0
        while True:
            active = keys < bound
            layout = _Layout(units, length, picks[active], lengths[active])
            inside = keys[active & layout.kept[picks]]
            most = int(self._config.maximum_share * layout.words)
            if len(inside) <= most:
                return active, layout
            bound = np.partition(inside, most)[most]


def make_switchers(
    data: DataFolder, vocabulary: Vocabulary, languages: Sequence[str], config: CodeSwitching
) -> dict[str, Switcher]:
    """Return what replaces the words of each language, from the data's training dictionaries.

    Raises:
        XlingError: A language has no dictionary, or none of its words can be found in text.
    """
    return {
        language: Switcher(
            switches, vocabulary.word_starts(language), vocabulary.special_ids.sep, config
        )
        for language, switches in compile_switches(data, vocabulary, languages).items()
    }


class _Units:
    """The words and separators of some rows of text, in order.

    Attributes:
        firsts: Where each begins in the flattened text, int64 ``[U]``.
        lengths: Its tokens, int64 ``[U]``.
        is_word: It is a word, bool ``[U]``.
        last: It is the last of its row, bool ``[U]``.
        heads: Number of the first unit of each row, int64 ``[B]``.
        row: Its row, int64 ``[U]``.
    """

    def __init__(self, text_BC: np.ndarray, word_starts: np.ndarray, separator: int) -> None:
        is_separator_BC = text_BC == separator
        begins_BC = word_starts[text_BC] | is_separator_BC
        begins_BC[:, 1:] |= is_separator_BC[:, :-1]
        begins_BC[:, 0] = True
        width = text_BC.shape[1]
        self.firsts = np.flatnonzero(begins_BC)
        self.lengths = np.diff(self.firsts, append=text_BC.size)
        self.is_word = ~is_separator_BC.reshape(-1)[self.firsts]
        self.row = self.firsts // width
        self.last = (self.firsts + self.lengths) % width == 0
        self.heads = np.flatnonzero(self.firsts % width == 0)

    def running_loss(self, picks: np.ndarray, losses: np.ndarray) -> np.ndarray:
        """Return how much of its row is lost up to and with each pick, gains not counted."""
        total = np.cumsum(np.maximum(losses, 0))
        before_row = np.searchsorted(picks, self.heads)[self.row[picks]]
        return total - np.concatenate([[0], total])[before_row]


class _Layout:
    """Where the units of each row come to lie once some have other lengths.

    Attributes:
        kept: The unit is in its row, at least in part, bool ``[U]``.
        words: Words in the rows.
    """

    def __init__(
        self, units: _Units, length: int, replaced: np.ndarray, lengths: np.ndarray
    ) -> None:
        self._lengths = units.lengths.copy()
        self._lengths[replaced] = lengths
        before = np.cumsum(self._lengths) - self._lengths
        self._room = length - (before - before[units.heads][units.row])
        self.kept = self._room > 0
        self.words = int(np.count_nonzero(self.kept & units.is_word))

    def gather(self, pool: np.ndarray, sources: np.ndarray) -> np.ndarray:
        """Return the rows' tokens, one row after the other.

        Args:
            pool: Where the tokens are.
            sources: Where in it each unit begins.
        """
        lengths = np.minimum(self._lengths, self._room)[self.kept]
        ends = np.cumsum(lengths)
        shifts = np.repeat(sources[self.kept] - (ends - lengths), lengths)
        return pool[shifts + np.arange(len(shifts))]
