"""Inflection: the forms of nouns, verbs and adjectives.

Agglutinating languages add one affix a feature; fusional ones add one ending for
all features together, in two inflection classes; isolating ones add nothing.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from xling.data.conlang.phonology import Phonology
from xling.data.conlang.spec import LanguageSpec

CASES = ("Nom", "Acc", "Gen", "Dat", "Loc", "Ins")
NOMINATIVE, ACCUSATIVE, GENITIVE, DATIVE, LOCATIVE, INSTRUMENTAL = range(6)
TENSES = ("Pres", "Past", "Fut")

# (case, plural, definite) and (tense, plural, negated, passive)
NounFeatures = tuple[int, bool, bool]
VerbFeatures = tuple[int, bool, bool, bool]


class Morphology:
    """Affixes of one language (seeded) and what they do to a stem."""

    def __init__(self, spec: LanguageSpec, phonology: Phonology, rng: np.random.Generator) -> None:
        self._spec = spec
        self._taken: set[str] = set()
        self.fusional = spec.morphology == "fusional"
        case = spec.case == "affix"
        self.noun_features = self._expand(
            range(6) if case else (0,), spec.plural == "affix", spec.articles == "affix"
        )
        self.verb_features = [
            (tense, plural, negated, passive)
            for tense, (plural, negated, passive) in product(
                range(3) if spec.tense == "affix" else (0,),
                product(
                    _values(spec.verb_agreement),
                    _values(spec.negation == "affix"),
                    _values(spec.passive in ("affix", "auxiliary")),
                ),
            )
        ]
        agrees = spec.adjective_agreement
        self.adjective_features = self._expand(
            range(6) if agrees and case else (0,), agrees and spec.plural == "affix", False
        )
        self._endings: dict[tuple[str, int, tuple[int, ...]], str] = {}
        for part, features in (
            ("noun", self.noun_features),
            ("verb", self.verb_features),
            ("adjective", self.adjective_features),
        ):
            self._invent(
                part, [tuple(int(value) for value in one) for one in features], phonology, rng
            )

    @staticmethod
    def _expand(
        cases: "range | tuple[int, ...]", plural: bool, definite: bool
    ) -> list[NounFeatures]:
        return [
            (case, many, known)
            for case in cases
            for many in _values(plural)
            for known in _values(definite)
        ]

    def _affix(self, phonology: Phonology, rng: np.random.Generator) -> str:
        for attempt in range(10_000):
            affix = phonology.word(rng, 1 + (attempt > 40))
            if affix not in self._taken and len(affix) <= 2 + (attempt > 20) + attempt // 40:
                self._taken.add(affix)
                return affix
        raise AssertionError("no affix left")  # 10,000 draws of two syllables cannot all be taken

    def _invent(
        self,
        part: str,
        features: list[tuple[int, ...]],
        phonology: Phonology,
        rng: np.random.Generator,
    ) -> None:
        if self.fusional:
            for inflection in range(2):
                for one in features:
                    bare = not any(one)
                    self._endings[part, inflection, one] = (
                        "" if bare else self._affix(phonology, rng)
                    )
            return
        single = {
            (place, value): self._affix(phonology, rng)
            for place in range(len(features[0]))
            for value in sorted({one[place] for one in features} - {0})
        }
        for one in features:
            ending = "".join(single[place, value] for place, value in enumerate(one) if value)
            self._endings[part, 0, one] = ending

    def inflect(self, part: str, stem: str, features: tuple[int, ...]) -> str:
        """Return a stem's form.

        Args:
            part: ``noun``, ``verb`` or ``adjective``.
            stem: The citation form.
            features: Numbers as in ``noun_features`` or ``verb_features``.
        """
        inflection = sum(map(ord, stem)) % 2 if self.fusional else 0
        return stem + self._endings[part, inflection, features]

    def paradigm(self, part: str, stem: str) -> list[str]:
        """Return all forms of a stem."""
        table: dict[str, Sequence[tuple[int, ...]]] = {
            "noun": self.noun_features,
            "verb": self.verb_features,
            "adjective": self.adjective_features,
        }[part]
        return [self.inflect(part, stem, tuple(int(value) for value in one)) for one in table]


def _values(distinguished: bool) -> tuple[bool, ...]:
    return (False, True) if distinguished else (False,)
