"""The forms of words: alphabets, the sound of new words, and inflection.

No two scripts share a character, punctuation included, so that languages of different scripts
have no string in common unless anchors make it so.

Agglutinating languages add one affix per feature; fusional ones add one ending for all features
together, in two inflection classes; isolating ones add nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from xling.conlang.spec import LanguageSpec


@dataclass(frozen=True)
class Alphabet:
    """Letters of a script by phoneme class, in one order of sounds for all scripts.

    The order makes transliteration possible: letters at the same place sound alike.
    """

    consonants: str
    vowels: str
    comma: str
    stop: str


ALPHABETS: dict[str, Alphabet] = {
    "latin": Alphabet("tknsrmlpdvbgfhz", "aeiou", ",", "."),
    "latin-extended": Alphabet("ŧƙŋʂɍɱɫƥđʋɓɠƒħʐ", "ɑɛɨøʉ", "ꞈ", "꞊"),
    "cyrillic": Alphabet("ткнсрмлпдвбгфхз", "аеиоу", "⁏", "⁘"),
    "greek": Alphabet("τκνσρμλπδξβγφχζ", "αεηοω", "·", "⁝"),
    "armenian": Alphabet("տկնսրմլպդվբգֆհզ", "աեիոը", "՝", "։"),
    "georgian": Alphabet("თკნსრმლპდვბგფხზ", "აეიოუ", "჻", "⁞"),
}
# Rows of the syllabary, in the order of the consonants above (the sound that is nearest).
_KANA = {
    "t": "たてちとつ",
    "k": "かけきこく",
    "n": "なねにのぬ",
    "s": "させしそす",
    "r": "られりろる",
    "m": "まめみもむ",
    "l": "ラレリロル",
    "p": "ぱぺぴぽぷ",
    "d": "だでぢどづ",
    "v": "ハヘヒホフ",
    "b": "ばべびぼぶ",
    "g": "がげぎごぐ",
    "f": "パペピポプ",
    "h": "はへひほふ",
    "z": "ざぜじぞず",
    "": "あえいおう",
}
KANA_MARKS = ("、", "。")
HAN_MARKS = ("，", "．")
# For languages that share a script but must not share punctuation.
SPARE_MARKS = "⸲⸳⸴⸱⸒⸓⸪⸫⸬⸭⁖⁙⁚⁛⁜⁕⁑⁂"
_HAN_FIRST = 0x4E00
_LATIN = ALPHABETS["latin"]


def marks(script: str, taken: Collection[str]) -> tuple[str, str]:
    """Return a script's comma and full stop, or spare ones if those are taken."""
    if script == "han":
        own = HAN_MARKS
    elif script == "kana":
        own = KANA_MARKS
    else:
        own = (ALPHABETS[script].comma, ALPHABETS[script].stop)
    pairs = [own, *zip(SPARE_MARKS[::2], SPARE_MARKS[1::2], strict=True)]
    return next(pair for pair in pairs if not set(pair) & set(taken))


class Phonology:
    """How words of one language can sound.

    Args:
        spec: The language's parameters (script and syllable shapes).
        rng: Source of the language's own letter frequencies.
        characters: How many characters a logographic script has.
    """

    def __init__(self, spec: LanguageSpec, rng: np.random.Generator, characters: int) -> None:
        self.script = spec.script
        self._shapes = spec.syllables
        self._consonants = _zipfian(rng, len(_LATIN.consonants))
        self._vowels = _zipfian(rng, len(_LATIN.vowels))
        self._characters = characters
        self._character_offset = int(rng.integers(4096)) if spec.script == "han" else 0

    def word(self, rng: np.random.Generator, syllables: int) -> str:
        """Return a new word of so many syllables (characters, in a logographic script)."""
        return self.spell(self.sounds(rng, syllables))

    def sounds(self, rng: np.random.Generator, syllables: int) -> str:
        """Return the sounds of a new word, in the base alphabet (characters, if logographic)."""
        if self.script == "han":
            ranks = (self._characters * rng.random(syllables) ** 1.5).astype(int)
            return "".join(chr(_HAN_FIRST + self._character_offset + rank) for rank in ranks)
        return "".join(self._syllable(rng) for _ in range(syllables))

    def _syllable(self, rng: np.random.Generator) -> str:
        shape = self._shapes[int(len(self._shapes) * rng.random())]
        letters = []
        for slot in shape:
            steps, inventory = (
                (self._consonants, _LATIN.consonants)
                if slot == "C"
                else (self._vowels, _LATIN.vowels)
            )
            letters.append(inventory[int(np.searchsorted(steps, rng.random(), side="right"))])
        return "".join(letters)

    def spell(self, sounds: str) -> str:
        """Write sounds (in the base alphabet's letters) in this language's script."""
        if self.script in ("latin", "han"):
            return sounds
        if self.script == "kana":
            return _in_kana(sounds)
        alphabet = ALPHABETS[self.script]
        table = str.maketrans(
            _LATIN.consonants + _LATIN.vowels, alphabet.consonants + alphabet.vowels
        )
        return sounds.translate(table)


def _zipfian(rng: np.random.Generator, count: int) -> np.ndarray:
    weight = (rng.permutation(count) + 1.0) ** -0.5
    steps = np.cumsum(weight / weight.sum())
    steps[-1] = 1.0
    return steps


def _in_kana(sounds: str) -> str:
    """Write syllable by syllable; a consonant without a vowel takes the row's last sign."""
    signs, onset = [], ""
    for sound in sounds:
        place = _LATIN.vowels.find(sound)
        if place >= 0:
            signs.append(_KANA[onset][place])
            onset = ""
        else:
            if onset:
                signs.append(_KANA[onset][-1])
            onset = sound
    if onset:
        signs.append(_KANA[onset][-1])
    return "".join(signs)


def shift_sounds(sounds: str, mapping: dict[str, str]) -> str:
    """Apply a regular sound change to a word of the base language."""
    return "".join(mapping.get(sound, sound) for sound in sounds)


def sound_change(rng: np.random.Generator) -> dict[str, str]:
    """Draw a regular sound change: four consonants and two vowels each become another."""
    mapping: dict[str, str] = {}
    for inventory, count in ((_LATIN.consonants, 4), (_LATIN.vowels, 2)):
        chosen = rng.choice(len(inventory), 2 * count, replace=False)
        for old, new in zip(chosen[:count], chosen[count:], strict=True):
            mapping[inventory[old]] = inventory[new]
    return mapping


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
