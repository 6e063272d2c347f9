"""Inflection: the forms of nouns, verbs and adjectives.

Agglutinating languages add one affix per feature; fusional ones add one ending for
all features together, in two inflection classes; isolating ones add nothing.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np

from xling.conlang.phonology import Phonology
from xling.conlang.spec import LanguageSpec

CASES = ("Nom", "Acc", "Gen", "Dat", "Loc", "Ins")
NOMINATIVE, ACCUSATIVE, GENITIVE, DATIVE, LOCATIVE, INSTRUMENTAL = range(6)
TENSES = ("Pres", "Past", "Fut")


class Morphology:
    """Affixes of one language (seeded) and what they do to a stem."""

    def __init__(self, spec: LanguageSpec, phonology: Phonology, rng: np.random.Generator) -> None:
        self._spec = spec
        self._taken: set[str] = set()
        self._fusional = spec.morphology == "fusional"
        case = spec.case == "affix"
        nouns = self._expand(
            range(6) if case else (0,), spec.plural == "affix", spec.articles == "affix"
        )
        verbs: list[tuple[int, ...]] = list(
            product(
                range(3) if spec.tense == "affix" else (0,),
                _values(spec.verb_agreement),
                _values(spec.negation == "affix"),
                _values(spec.passive in ("affix", "auxiliary")),
            )
        )
        agrees = spec.adjective_agreement
        adjectives = self._expand(
            range(6) if agrees and case else (0,), agrees and spec.plural == "affix", False
        )
        self._endings: dict[tuple[str, int, tuple[int, ...]], str] = {}
        self._features: dict[str, list[tuple[int, ...]]] = {
            "noun": nouns,
            "verb": verbs,
            "adjective": adjectives,
        }
        for part, features in self._features.items():
            self._invent(part, features, phonology, rng)

    @staticmethod
    def _expand(cases: Sequence[int], plural: bool, definite: bool) -> list[tuple[int, ...]]:
        return list(product(cases, _values(plural), _values(definite)))

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
        if self._fusional:
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
            features: Case, plural, definite (adjectives: 0) of a nominal; tense, plural subject,
                negated, passive of a verb; 0 for what the language does not mark.
        """
        inflection = sum(map(ord, stem)) % 2 if self._fusional else 0
        return stem + self._endings[part, inflection, features]

    def paradigm(self, part: str, stem: str) -> list[str]:
        """Return all forms of a stem."""
        return [self.inflect(part, stem, features) for features in self._features[part]]


def _values(distinguished: bool) -> tuple[int, ...]:
    return (0, 1) if distinguished else (0,)
