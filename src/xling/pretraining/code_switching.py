"""Code-switching: translations replace words of a batch (Conneau et al. 2020, section 4).

Training dictionaries become arrays of token ids. Words are matched whole, before they are cut into
subwords: a language's tokenizer gives every word one sequence of ids, so the sequence stands for
the word. An entry is matched as it is spelt; an entry in lower case also matches the word with a
capital first letter or all in capitals, unless the dictionary has that form itself. Entries of
several words (in scripts that write no spaces: of several tokens) are never matched, but can be
translations.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import plain_or_gzipped
from xling.pretraining.config import CodeSwitching
from xling.tokens.counts import word_hashes
from xling.vocabulary.vocabulary import Vocabulary


@dataclass(frozen=True)
class Runs:
    """Sequences of ids, one after the other.

    Attributes:
        ids: int64 ``[N]``.
        starts: int64 ``[R + 1]``: run i is ``ids[starts[i]:starts[i + 1]]``.
    """

    ids: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Ids in each run, int64 ``[R]``."""
        return np.diff(self.starts)

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> "Runs":
        """Lay sequences one after the other."""
        starts = np.zeros(len(sequences) + 1, dtype=np.int64)
        np.cumsum([len(sequence) for sequence in sequences], out=starts[1:])
        ids = np.fromiter(chain.from_iterable(sequences), np.int64, count=int(starts[-1]))
        return cls(ids, starts)


@dataclass(frozen=True)
class Switches:
    """What may replace the words of one language.

    Attributes:
        words: The F forms of words that are matched, no two alike.
        entry: Each form's entry, int64 ``[F]``.
        bounds: Entry e has translations ``bounds[e]`` to ``bounds[e + 1] - 1``, int64 ``[E + 1]``.
        cumulative: For each translation of entry e, e plus the share of the entry's weight up to
            and including it, float64 ``[M]``, ascending.
        translations: The M translations in the other languages' ids.
    """

    words: Runs
    entry: np.ndarray
    bounds: np.ndarray
    cumulative: np.ndarray
    translations: Runs


def dictionary_files(data: DataFolder, languages: Iterable[str]) -> dict[str, Path]:
    """Return the training dictionaries between any two of the languages, by name (``en-fr``).

    Raises:
        XlingError: A language has none.
    """
    languages = tuple(languages)
    found: dict[str, Path] = {}
    covered: set[str] = set()
    for source in languages:
        for target in languages:
            path = plain_or_gzipped(data.root / "dictionaries" / f"{source}-{target}.train.tsv")
            if source != target and path:
                found[f"{source}-{target}"] = path
                covered |= {source, target}
    for language in languages:
        if language not in covered:
            there = ", ".join(data.dictionaries()) or "none"
            raise XlingError(
                f"{data.root / 'dictionaries'}: no training dictionary of {language} with another "
                f"of {', '.join(languages)} (there are: {there}); code-switching needs "
                "SRC-TGT.train.tsv in one direction"
            )
    return found


def compile_switches(
    data: DataFolder, vocabulary: Vocabulary, languages: Sequence[str]
) -> dict[str, Switches]:
    """Turn the training dictionaries between the languages into arrays, one set per language.

    Where a dictionary in a direction is missing, the one in the other direction is read backwards.
    With several other languages, each is equally likely to provide the translation.
    Words and translations that the vocabulary does not know are left out.

    Args:
        data: The data folder; of its dictionaries only the train splits are read.
        vocabulary: The vocabulary whose ids to use.
        languages: All languages of the run.

    Raises:
        XlingError: A language has no dictionary, or none of its words can be found in text.
    """
    names = dictionary_files(data, languages)
    compiled = {}
    for source in languages:
        entries: dict[str, list[tuple[str, str, float]]] = {}
        for target in languages:
            for word, translation, weight in _rows(data, names, source, target):
                entries.setdefault(word, []).append((target, translation, weight))
        compiled[source] = _compile(source, entries, vocabulary)
    return compiled


def _rows(
    data: DataFolder, names: Iterable[str], source: str, target: str
) -> Iterator[tuple[str, str, float]]:
    """Yield each distinct (source word, target text) with its share of the word's weight."""
    if f"{source}-{target}" in names:
        rows = data.dictionary(source, target, "train")
    elif f"{target}-{source}" in names:
        rows = [(word, other, w) for other, word, w in data.dictionary(target, source, "train")]
    else:
        return
    totals: dict[str, float] = {}
    weights: dict[tuple[str, str], float] = {}
    for word, translation, weight in rows:
        word, translation = word.strip(), translation.strip()
        totals[word] = totals.get(word, 0.0) + weight
        weights[word, translation] = weights.get((word, translation), 0.0) + weight
    for (word, translation), weight in weights.items():
        yield word, translation, weight / totals[word]


def _compile(
    source: str,
    entries: Mapping[str, Sequence[tuple[str, str, float]]],
    vocabulary: Vocabulary,
) -> Switches:
    unknown = vocabulary.special_ids.unk
    texts: dict[str, dict[str, list[int]]] = {}
    for target in {target for found in entries.values() for target, _, _ in found}:
        wanted = {text for found in entries.values() for name, text, _ in found if name == target}
        texts[target] = _encoded(vocabulary, target, sorted(wanted))
    translations: list[list[int]] = []
    shares: list[np.ndarray] = []
    bounds = [0]
    kept: list[str] = []
    for word, found in entries.items():
        known = [(texts[name][text], weight) for name, text, weight in found]
        known = [(ids, weight) for ids, weight in known if ids and unknown not in ids]
        if known:
            weights = np.cumsum([weight for _, weight in known])
            shares.append(len(kept) + weights / weights[-1])
            translations += [ids for ids, _ in known]
            bounds.append(len(translations))
            kept.append(word)
    forms = _forms(kept)
    encoded = _encoded(vocabulary, source, list(forms))
    word_starts = vocabulary.word_starts(source)
    whole = {
        form: ids
        for form, ids in encoded.items()
        if unknown not in ids and _is_one_word(word_starts[ids])
    }
    if not whole:
        raise XlingError(
            f"{source}: none of the {len(entries)} words of its training dictionaries is a word of "
            "the vocabulary with a translation that it knows; are the columns source TAB target?"
        )
    return Switches(
        words=Runs.of(list(whole.values())),
        entry=np.array([forms[form] for form in whole], dtype=np.int64),
        bounds=np.array(bounds, dtype=np.int64),
        cumulative=np.concatenate(shares),
        translations=Runs.of(translations),
    )


def _forms(words: Sequence[str]) -> dict[str, int]:
    """Return every form that stands for a word, and the word's number; exact spelling first."""
    forms = {word: number for number, word in enumerate(words)}
    for number, word in enumerate(words):
        for form in (word[:1].upper() + word[1:], word.upper()):
            if form.lower() == word:
                forms.setdefault(form, number)
    return forms


def _encoded(vocabulary: Vocabulary, language: str, texts: list[str]) -> dict[str, list[int]]:
    """Return each text's ids, without special tokens."""
    if not texts:
        return {}
    encoding = vocabulary.tokenizer(language).encode(
        texts, is_pretokenized=True, add_special_tokens=False
    )
    found: dict[str, list[int]] = {text: [] for text in texts}
    for number, token in zip(encoding.word_ids, encoding.ids, strict=True):
        if number is not None:
            found[texts[number]].append(token)
    return found


def _is_one_word(starts: np.ndarray) -> bool:
    """Tell whether the first token begins a word, and none after it."""
    return bool(len(starts) and starts[0] and not starts[1:].any())


class Switched(NamedTuple):
    """Rows after code-switching, and what was done.

    Attributes:
        rows_BT: Token ids, int64.
        words: Words in the rows, including those cut at the ends of rows.
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

        Every word that the dictionary has is replaced with the probability in the settings. If that
        is more than the maximum share of the words in the rows, some stay, each with the same
        probability. Replacements in a row stop where too little text would be left to fill it.

        Args:
            text_BC: Token ids, longer than the rows by ``spare_tokens(length)``, which limits
                how far a row may shrink.
            length: Tokens per row, T.
            draws: Makes all random choices.
        """
        flat, units = text_BC.reshape(-1), _Units(text_BC, self._word_starts, self._separator)
        entry, found = self._look_up(flat, units)
        keys, choices = draws.random(len(found)), draws.random(len(found))
        drawn = keys < self._config.probability
        picks, keys = found[drawn], keys[drawn]
        translations = self._draw(self._entry[entry[picks]], choices[drawn])
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
        """Return each unit's row in the table, and the numbers of the units that are in it."""
        hashes = word_hashes(flat, units.firsts)
        row = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        # The last word of the text may have been cut, and the rest may be another word.
        return row, np.flatnonzero((self._hashes[row] == hashes) & ~units.last)

    def _draw(self, entries: np.ndarray, choices: np.ndarray) -> np.ndarray:
        """Return a translation of each entry, drawn by weight."""
        found = np.searchsorted(self._switches.cumulative, entries + choices, side="right")
        return np.asarray(np.minimum(found, self._switches.bounds[entries + 1] - 1))

    def _within_share(
        self,
        units: "_Units",
        length: int,
        picks: np.ndarray,
        keys: np.ndarray,
        lengths: np.ndarray,
    ) -> tuple[np.ndarray, "_Layout"]:
        """Return which picks to replace, and how the rows are then laid out.

        Replacements change what fits into the rows, and so how many words they have. So the
        bound on the keys is lowered until the share holds for the final rows.
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
        """Return how much of its row is lost up to and including each pick, ignoring gains."""
        total = np.cumsum(np.maximum(losses, 0))
        before_row = np.searchsorted(picks, self.heads)[self.row[picks]]
        return np.asarray(total - np.concatenate([[0], total])[before_row])


class _Layout:
    """Where the units of each row end up once some have other lengths.

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
