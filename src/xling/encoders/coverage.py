"""How much of a text a model sees: what its length limit cuts, and what its tokenizer knows."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xling.data.lines import counted
from xling.encoders.sentences import Sentences, tokenise
from xling.encoders.windows import Windows

if TYPE_CHECKING:
    from xling.encoders.encoder import Encoder

NOTICEABLE = 0.05  # share of lines cut, or of tokens unknown, that is reported with a score


class CoverageWarning(UserWarning):
    """A score rests on less text than it seems to."""


@dataclass(frozen=True)
class Coverage:
    """How much of some text a model sees.

    Attributes:
        language: Language of the text.
        lines: Number of lines (or sentences, or pairs of them).
        truncated: How many of them were cut at the model's limit.
        tokens: Number of ordinary tokens.
        unknown: How many of them are the unknown token.
    """

    language: str
    lines: int
    truncated: int
    tokens: int
    unknown: int


def coverage_of(encoder: "Encoder", lines: Sequence[str], prefix: str = "") -> Coverage:
    """Tokenise lines, each after a prefix, and count what is lost."""
    return coverage_of_tokens(encoder, tokenise(encoder, lines, prefix))


def coverage_of_tokens(encoder: "Encoder", sentences: Sentences | Windows) -> Coverage:
    """Count what is lost of tokenised lines, or of sentences in windows."""
    ordinary = sentences.ids[~sentences.special]
    unknown = count_unknown(encoder, ordinary)
    lost = sentences.truncated
    return Coverage(encoder.language, len(sentences), lost, len(ordinary), unknown)


def count_unknown(encoder: "Encoder", ids: NDArray[np.integer]) -> int:
    """Count the unknown token among ordinary tokens; 0 for a tokenizer that knows all text."""
    unknown = encoder.tokenizer.unk_token_id
    return 0 if unknown is None else int(np.count_nonzero(ids == unknown))


def warn_of_lost_text(name: str, seen: Sequence[Coverage]) -> None:
    """Warn, in one line for each kind of loss, where a set loses much of its text.

    That is at least 5 % of its lines, cut at the limit, or more than 5 % of its tokens, unknown.

    Args:
        name: Name of the set, for the message.
        seen: How much of it the models see, for each language.
    """
    cut = [
        f"{part.truncated:,} of {counted(part.lines, 'line')} in {part.language} "
        f"({part.truncated / part.lines:.0%})"
        for part in seen
        if part.lines and part.truncated >= NOTICEABLE * part.lines
    ]
    unknown = [
        f"{part.unknown:,} of {counted(part.tokens, 'token')} in {part.language} "
        f"({part.unknown / part.tokens:.0%})"
        for part in seen
        if part.tokens and part.unknown > NOTICEABLE * part.tokens
    ]
    if cut:
        message = f"{name}: truncated {', '.join(cut)} at the model's limit of positions"
        _warn(f"{message}; scores are of what is left")
    if unknown:
        message = f"{name}: unknown to the tokenizer are {', '.join(unknown)}"
        _warn(f"{message}; scores say little about such text")


def _warn(message: str) -> None:
    warnings.warn(message, CoverageWarning, stacklevel=3)
