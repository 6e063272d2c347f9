"""Lines as token ids, tokenised once for every encoder and mask of a comparison."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xling.encoders.batches import Ints, Tokens, laid_out
from xling.encoders.config import Pooling
from xling.encoders.encoder import Encoder
from xling.errors import XlingError


class View(NamedTuple):
    """How the vector of a line is made from its tokens' vectors.

    Attributes:
        pooling: ``mean``: the mean of all tokens except special ones. ``first`` and ``last``: the
            vector of one token, special ones ([CLS], a final </s>) included. ``weighted``: the mean
            of all tokens, special ones included, the i-th with the weight i (Muennighoff 2022,
            SGPT). ``last`` and ``weighted`` are those of MEXA (Kargaran et al. 2024).
        excluded: Token ids that are left out first.
    """

    pooling: Pooling = "mean"
    excluded: Ints = np.array([], dtype=np.int64)


@dataclass(frozen=True, eq=False, kw_only=True)
class Sentences(Tokens):
    """N lines, each one row of tokens.

    Attributes:
        strings: The token string of every id that occurs as an ordinary token.
    """

    strings: dict[int, str]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def kept(self, excluded: Ints) -> NDArray[np.bool_]:
        """Tell which tokens are neither special nor among the ``excluded`` ids: bool array [T]."""
        return ~(self.special | np.isin(self.ids, excluded))

    def empty(self, excluded: Ints) -> NDArray[np.bool_]:
        """Tell which lines keep no token: bool array [N]."""
        before = np.concatenate([[0], np.cumsum(self.kept(excluded))])
        return np.asarray(before[self.starts[1:]] == before[self.starts[:-1]])

    def weights(self, view: View) -> NDArray[np.float32]:
        """Return the weight of each token in its line's vector, before division by their sum.

        Returns:
            float32 array [T]; zeros in a line that keeps no ordinary token, whatever the pooling.
        """
        if view.pooling == "mean":
            return self.kept(view.excluded).astype(np.float32)
        line = np.repeat(np.arange(len(self)), self.lengths)
        there = ~np.isin(self.ids, view.excluded) & ~self.empty(view.excluded)[line]
        places = np.arange(1, len(self.ids) + 1) - self.starts[line]
        if view.pooling != "weighted":
            candidates = np.flatnonzero(there)
            ends = {"prepend": -1} if view.pooling == "first" else {"append": -1}
            there[candidates[np.diff(line[candidates], **ends) == 0]] = False
            places = np.ones_like(places)
        weights: NDArray[np.float32] = np.where(there, places, 0).astype(np.float32)
        return weights


def tokenise(encoder: Encoder, lines: Sequence[str], prefix: str = "") -> Sentences:
    """Tokenise lines with the encoder's own tokenizer, cut at the model's limit of positions.

    Args:
        encoder: The encoder whose tokenizer and limit are used.
        lines: N lines of text.
        prefix: Text put before every line that is not blank, and part of it from then on: its
            tokens count in every pooling, as by default in sentence-transformers.
    """
    if prefix:
        lines = [f"{prefix}{line}" if line.strip() else line for line in lines]
    found, truncated = encode_lines(encoder, lines)
    return as_sentences(encoder, found["input_ids"], truncated)


def encode_lines(
    encoder: Encoder, lines: Sequence[str], **options: bool
) -> tuple[dict[str, list[Any]], int]:
    """Return a tokenizer's output for lines, cut at the model's limit, and how many were cut.

    ``options`` are those of the tokenizer, such as ``return_offsets_mapping``.
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


def as_sentences(encoder: Encoder, rows: Sequence[Sequence[int]], truncated: int) -> Sentences:
    """Return lines whose token ids are known, special tokens included.

    Args:
        encoder: The encoder whose tokenizer made them.
        rows: The ids of each line.
        truncated: How many lines were cut.
    """
    tokens = laid_out(encoder, rows, truncated)
    ordinary = np.unique(tokens.ids[~tokens.special]).tolist()
    names = encoder.tokenizer.convert_ids_to_tokens(ordinary)
    return Sentences(**vars(tokens), strings=dict(zip(ordinary, names, strict=True)))


def evenly_spaced(lines: Mapping[str, Sequence[str]], most: int) -> dict[str, list[str]]:
    """Return at most ``most`` (0: all) lines, evenly spaced, the same in each language."""
    count = len(next(iter(lines.values())))
    if not most or count <= most:
        return {language: list(texts) for language, texts in lines.items()}
    chosen = np.linspace(0, count - 1, most).astype(int)
    return {language: [texts[i] for i in chosen] for language, texts in lines.items()}


def parallel_lines(
    lines: Mapping[str, Iterable[str]], languages: Sequence[str]
) -> dict[str, list[str]]:
    """Return lines that a caller has given for each language, if they can be parallel.

    Args:
        lines: For each language its lines; line i means the same in every language.
        languages: Those that are needed.

    Raises:
        XlingError: a language is missing, lines are not texts, or their numbers differ.
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

    Tokens are the same if their strings are, whatever their ids. With one joint vocabulary that is
    the same as comparing ids. With two vocabularies it finds the same names, digits and
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
