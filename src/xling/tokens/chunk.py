"""A worker's task: one piece of a language's text to train and dev tokens and their counts."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xling.tokens.encode import Encoder, id_dtype
from xling.tokens.words import Words, find_words
from xling.vocabulary.vocabulary import Vocabulary

SPLITS = ("train", "dev")


@dataclass(frozen=True)
class Chunk:
    r"""A piece of text to tokenise.

    Attributes:
        source: Number of the text it is from; comes back with the result.
        language: Whose tokenizer to use.
        text: Lines in NFC joined by ``\n``.
        dev_share: Share of lines to hold out, in [0, 1).
    """

    source: int
    language: str
    text: str
    dev_share: float


@dataclass
class Tokens:
    """One split of a tokenised chunk.

    Attributes:
        ids: Token ids, every line followed by [SEP].
        lines: Number of lines.
        characters: Running characters, white space included.
        words: Its words.
        unknown_characters: Characters outside the alphabet, and how often each occurs.
    """

    ids: np.ndarray
    lines: int
    characters: int
    words: Words
    unknown_characters: Counter[str]


class TokenisedChunk(NamedTuple):
    """The tokens of a chunk by split, and the number of the text it is from."""

    source: int
    splits: dict[str, Tokens]


def is_held_out(line: str, share: float) -> bool:
    """Decide a line's side of the split, from its content alone."""
    digest = hashlib.blake2b(line.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2.0**64


class ChunkTokeniser:
    """Tokenises chunks of any language of a vocabulary; one lives in each worker.

    Args:
        folder: The vocabulary's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._vocabulary = Vocabulary.load(folder)
        self._encoders: dict[str, Encoder] = {}
        self._alphabets: dict[str, frozenset[str]] = {}
        self._starts: dict[str, np.ndarray] = {}

    def __call__(self, chunk: Chunk) -> TokenisedChunk:
        """Return the tokens of each split; the same for equal chunks, whatever came before."""
        lines: dict[str, list[str]] = {split: [] for split in SPLITS}
        for line in chunk.text.split("\n"):
            lines["dev" if is_held_out(line, chunk.dev_share) else "train"].append(line)
        splits = {split: self._tokens(chunk.language, chosen) for split, chosen in lines.items()}
        return TokenisedChunk(chunk.source, splits)

    def _tokens(self, language: str, lines: list[str]) -> Tokens:
        ids = self._encoder(language).encode(lines)
        special = self._vocabulary.special_ids
        return Tokens(
            ids=ids,
            lines=len(lines),
            characters=sum(map(len, lines)),
            words=find_words(ids, self._word_starts(language), special.sep, special.unk),
            unknown_characters=self._unknown_characters(language, lines, ids),
        )

    def _unknown_characters(self, language: str, lines: list[str], ids: np.ndarray) -> Counter[str]:
        special = self._vocabulary.special_ids
        unknown = np.flatnonzero(ids == special.unk)
        if not len(unknown):
            return Counter()
        line_of = np.cumsum(ids == special.sep)
        found = Counter("".join(lines[number] for number in np.unique(line_of[unknown])))
        known = self._alphabet(language)
        return Counter(
            {
                character: count
                for character, count in found.items()
                if character not in known and not character.isspace()
            }
        )

    def _encoder(self, language: str) -> Encoder:
        if language not in self._encoders:
            vocabulary = self._vocabulary
            self._encoders[language] = Encoder(
                vocabulary.tokenizer(language),
                vocabulary.special_ids.sep,
                id_dtype(vocabulary.size),
            )
        return self._encoders[language]

    def _alphabet(self, language: str) -> frozenset[str]:
        if language not in self._alphabets:
            tokens = self._vocabulary.tokens(language)
            own = (tokens[number] for number in self._vocabulary.own_ids(language))
            self._alphabets[language] = frozenset(token for token in own if len(token) == 1)
        return self._alphabets[language]

    def _word_starts(self, language: str) -> np.ndarray:
        if language not in self._starts:
            self._starts[language] = self._vocabulary.word_starts(language)
        return self._starts[language]
