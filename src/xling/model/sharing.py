"""The sharing plan: which parts of the models each language has separately.

A plan is written as a list of parts, e.g. ``[embeddings, layers 1-3]``; whatever is
not named is shared by all languages. The parts:

==========================  ====================================================
``embeddings``              token, position and language embeddings and their
                            norm; the output layer too, which is tied to the
                            tokens
``embeddings.tokens``       token embeddings and output layer only
``embeddings.positions``    position embeddings only
``embeddings.norm``         the norm over their sum only
``embeddings.language``     a vector added to every token of a language (BERT's
                            token type embedding, of which there is one type)
``embeddings.specials``     special tokens ([CLS], [SEP], [MASK], ...) only: rows
                            of their own for each language in the one table
``layers 1-3``              transformer layers 1 to 3 (``layers 5``: one layer)
``layers first 3/8``        that share of the depth, from the bottom
``layers last 1/4``         that share of the depth, from the top
``layers 1-3.attention``    their self-attention only (``.feed-forward`` likewise)
``head``                    the transformation before the output layer
==========================  ====================================================

An architecture need not have all of them (`xling.model.anatomy`). Layers are numbered as in the
paper: 1 is the first above the embeddings.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from xling.errors import XlingError

TOKENS, POSITIONS = "embeddings.tokens", "embeddings.positions"
LANGUAGE, NORM = "embeddings.language", "embeddings.norm"
# Not a part of an encoder, but rows of its token embeddings: see `Vocabulary.special_ids_of`
SPECIALS = "embeddings.specials"
HEAD = "head"
EMBEDDINGS = (TOKENS, POSITIONS, LANGUAGE, NORM)
_SUBLAYERS = ("attention", "feed-forward")
_LAYERS = re.compile(
    r"layers (?:(?P<low>\d+)(?:-(?P<high>\d+))?|(?P<end>first|last) (?P<share>\d+/\d+))"
    r"(?:\.(?P<sublayer>attention|feed-forward))?"
)


def sublayer_part(layer: int, sublayer: str) -> str:
    """Name the part that is one sublayer of one layer (1-based)."""
    return f"layer {layer}.{sublayer}"


def all_parts(layers: int) -> tuple[str, ...]:
    """Return every indivisible part of an encoder with that many layers."""
    sublayers = [sublayer_part(i, s) for i in range(1, layers + 1) for s in _SUBLAYERS]
    return (*EMBEDDINGS, *sublayers, HEAD)


@dataclass(frozen=True)
class SharingPlan:
    """Which indivisible parts are separate per language; everything else is shared.

    Attributes:
        separate: Names out of :func:`all_parts`, and ``SPECIALS``.
    """

    separate: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, items: Iterable[str], layers: int) -> "SharingPlan":
        """Read a plan as written in a study file, for encoders of ``layers`` layers.

        Raises:
            XlingError: a part that is not in the table above, or layers that do not exist.

        Example:
            >>> sorted(SharingPlan.parse(["embeddings.tokens", "layers 1.attention"], 4).separate)
            ['embeddings.tokens', 'layer 1.attention']
        """
        plan = cls(frozenset(part for item in items for part in _parts(item, layers)))
        if plan.separates(SPECIALS) and plan.separates(TOKENS):
            raise XlingError(
                f"separate: {SPECIALS} adds nothing to separate token embeddings, which have "
                "special tokens of their own; leave it out"
            )
        return plan

    def separates(self, part: str) -> bool:
        """Tell whether every language has its own ``part``."""
        return part in self.separate

    def check_vocabulary(self, kind: str) -> None:
        """Refuse token embeddings and a kind of vocabulary that contradict each other.

        One shared table cannot hold separate ids for two languages. Where separately learnt BPEs
        have one space of ids, a language's own table would hold rows of the other languages'
        tokens, which it never reads but predicts over. A joint BPE has no tokens of one language:
        separate tables over it only keep embeddings apart, and all text is cut alike.

        Args:
            kind: The vocabulary's, see `VocabularyConfig`.

        Raises:
            XlingError: They contradict each other.
        """
        if kind == "separate" and not self.separates(TOKENS):
            raise XlingError(
                "vocabulary.kind: separate gives every language ids of its own, which shared token "
                "embeddings cannot hold; add embeddings or embeddings.tokens to separate, or use "
                "vocabulary.kind: disjoint"
            )
        if kind in ("union", "disjoint") and self.separates(TOKENS):
            raise XlingError(
                f"separate: token embeddings of its own for each language, but vocabulary.kind: "
                f"{kind} gives each table rows of the others' tokens too; use vocabulary.kind: "
                "separate (or joint, to cut all languages alike)"
            )


def _parts(item: str, layers: int) -> tuple[str, ...]:
    if item == "embeddings":
        return EMBEDDINGS
    if item in (*EMBEDDINGS, SPECIALS, HEAD):
        return (item,)
    match = _LAYERS.fullmatch(item)
    if match is None:
        raise XlingError(
            f"sharing plan: unknown part {item!r}; expected embeddings, embeddings.tokens, "
            "embeddings.positions, embeddings.norm, embeddings.language, embeddings.specials, "
            "head, 'layers 1-3', "
            "'layers first 3/8' or 'layers last 1/4' (layers may end in .attention or "
            ".feed-forward)"
        )
    low, high = _layer_range(match, layers)
    if not 1 <= low <= high <= layers:
        raise XlingError(
            f"sharing plan: {item!r} means layers {low} to {high}, but the encoder has "
            f"layers 1 to {layers}"
        )
    sublayers = (match["sublayer"],) if match["sublayer"] else _SUBLAYERS
    return tuple(sublayer_part(i, s) for i in range(low, high + 1) for s in sublayers)


def _layer_range(match: re.Match[str], layers: int) -> tuple[int, int]:
    if match["share"]:
        numerator, denominator = (int(number) for number in match["share"].split("/"))
        if denominator == 0:
            raise XlingError(f"sharing plan: {match[0]!r} divides by zero")
        count = round(layers * Fraction(numerator, denominator))
        return (1, count) if match["end"] == "first" else (layers - count + 1, layers)
    low = int(match["low"])
    return low, int(match["high"] or low)
