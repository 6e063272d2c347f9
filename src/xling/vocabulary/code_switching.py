"""Training dictionaries as arrays of token ids, for replacing words of running text.

Words are matched whole, before they are cut into subwords: a language's tokenizer gives every
word one sequence of ids, so the sequence stands for the word. An entry is matched as it is
spelt; an entry in lower case also serves the word with a capital first letter or all in
capitals, unless the dictionary has that form itself. Entries of several words (in scripts that
write no spaces: of several tokens) are never matched, but serve as translations.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import plain_or_gzipped
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
            and with it, float64 ``[M]``, ascending.
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
    With several other languages each is as likely as the others to give the translation.
    Words and translations that the vocabulary does not know are left out.

    Args:
        data: The data folder; of its dictionaries only the train splits are read.
        vocabulary: Whose ids to use.
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
    """Yield each distinct (source word, target text) with its weight among the word's own."""
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
