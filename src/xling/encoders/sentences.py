"""Lines as token ids, tokenised once and used by every encoder and mask of a comparison."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xling.encoders.encoder import Encoder
from xling.errors import XlingError


@dataclass(frozen=True, eq=False)
class Sentences:
    """Token ids of N lines, one after the other.

    Attributes:
        ids: int64 array [T], special tokens included.
        starts: int64 array [N + 1]: line i is ``ids[starts[i]:starts[i + 1]]``.
        special: bool array [T]: the token is [CLS], [SEP] or the like ([UNK] is not).
        strings: The token string of every id that occurs as an ordinary token.
        truncated: Number of lines cut at the model's limit.
        padding: The id that fills up batches.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    special: NDArray[np.bool_]
    strings: dict[int, str]
    truncated: int
    padding: int

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each line, special ones included: int64 array [N]."""
        return np.diff(self.starts)

    def kept(self, excluded: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which tokens are neither special nor among the ``excluded`` ids: bool array [T]."""
        return ~(self.special | np.isin(self.ids, excluded))

    def empty(self, excluded: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Tell which lines keep no token: bool array [N]."""
        before = np.concatenate([[0], np.cumsum(self.kept(excluded))])
        return before[self.starts[1:]] == before[self.starts[:-1]]


def tokenise(encoder: Encoder, lines: Sequence[str]) -> Sentences:
    """Tokenise lines with the encoder's own tokenizer, cut at the model's limit of positions."""
    found, truncated = encode_lines(encoder, lines)
    return assemble(encoder, found["input_ids"], truncated)


def encode_lines(
    encoder: Encoder, lines: Sequence[str], **options: bool
) -> tuple[dict[str, list[Any]], int]:
    """Return what a tokenizer says of lines, cut at the model's limit, and how many were cut.

    ``options`` are the tokenizer's, such as ``return_offsets_mapping``.
    """
    if not lines:
        return {"input_ids": [], "offset_mapping": []}, 0
    tokenizer: Any = encoder.tokenizer
    limit = encoder.maximum_length
    options |= {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
    found = dict(tokenizer(list(lines), **options))
    long = [i for i, row in enumerate(found["input_ids"]) if len(row) > limit]
    if long:
        cut = tokenizer([lines[i] for i in long], truncation=True, max_length=limit, **options)
        for name, of_lines in found.items():
            for i, row in zip(long, cut[name], strict=True):
                of_lines[i] = row
    return found, len(long)


def assemble(encoder: Encoder, rows: Sequence[Sequence[int]], truncated: int) -> Sentences:
    """Lay the token ids of lines end to end.

    Args:
        encoder: Whose tokenizer made them.
        rows: The ids of each line, special tokens included.
        truncated: How many lines were cut.
    """
    starts = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum([len(row) for row in rows], out=starts[1:])
    ids = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=int(starts[-1]))
    special = np.isin(ids, encoder.special_ids)
    ordinary = np.unique(ids[~special]).tolist()
    names = encoder.tokenizer.convert_ids_to_tokens(ordinary)
    strings = dict(zip(ordinary, names, strict=True))
    return Sentences(ids, starts, special, strings, truncated, encoder.padding)


def parallel_lines(
    lines: Mapping[str, Iterable[str]], languages: Sequence[str]
) -> dict[str, list[str]]:
    """Return lines that a caller has given for each language, if they can be parallel.

    Args:
        lines: For each language its lines; line i means the same in every language.
        languages: Those that are needed.

    Raises:
        XlingError: a language is missing, lines are no texts, or their numbers differ.
    """
    missing = [language for language in languages if language not in lines]
    if missing:
        given = ", ".join(map(repr, lines)) or "none"
        raise XlingError(f"lines: none of language {missing[0]!r} (there are: {given})")
    found: dict[str, list[str]] = {}
    for language in languages:
        if isinstance(lines[language], str):
            raise XlingError(f"lines[{language!r}]: one text, expected a list of lines")
        found[language] = list(lines[language])
        for number, line in enumerate(found[language]):
            if not isinstance(line, str):
                kind = type(line).__name__
                raise XlingError(f"lines[{language!r}][{number}]: {kind}, expected a text (str)")
    counts = {language: len(side) for language, side in found.items()}
    if len(set(counts.values())) > 1 or not min(counts.values()):
        numbers = ", ".join(f"{count} in {language}" for language, count in counts.items())
        raise XlingError(
            f"lines: {numbers}; expected equally many, line i meaning the same in every language"
        )
    return found


def shared_ids(a: Sentences, b: Sentences) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the tokens that occur on both sides of a parallel set: its anchors.

    Tokens are the same if their strings are, whatever their ids: with one joint vocabulary that is
    the same as comparing ids, and with two vocabularies it names the same names, digits and
    punctuation, so that the anchor-free probes leave out the same text for every model. Without
    these tokens no token type is left that both sides have.

    Returns:
        The ids in ``a`` and the ids in ``b`` to exclude, sorted int64 arrays.
    """
    common = set(a.strings.values()) & set(b.strings.values())

    def ids(side: Sentences) -> NDArray[np.int64]:
        found = sorted(number for number, string in side.strings.items() if string in common)
        return np.array(found, dtype=np.int64)

    return ids(a), ids(b)
