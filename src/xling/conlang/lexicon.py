"""The words of one language: a form for every lexeme and function word.

A language's words avoid every form of the languages before it that use the same script, so that
strings are shared only where anchors say so.
"""

from collections.abc import Iterable

import numpy as np

from xling.conlang import morphology as mo
from xling.conlang.morphology import Morphology, Phonology, marks, shift_sounds, sound_change
from xling.conlang.spec import BASE, LanguageSpec
from xling.conlang.trees import Word
from xling.conlang.world import NUMERALS, World
from xling.randomness import generator

FUNCTION_WORDS = (
    "THE", "A", "ALL", "SOME", "NO", "NOT", "PAST", "FUT", "PASS", "BE", "AT", "TO", "OF", "BY",
    "ACC", "NOM", "PL", "THAT", "REL", "AND", "BUT", "BECAUSE",
)  # fmt: skip
MARKS = ("COMMA", "STOP")


class Lexicon:
    """Forms by lexeme number, and by name for function words and punctuation.

    Args:
        spec: The language's parameters.
        world: The world whose concepts need words.
        name: The language's code (part of the seed).
        taken: Forms of other languages that no word may equal.
        base: The base language's lexicon, to derive cognates from.
    """

    def __init__(
        self,
        spec: LanguageSpec,
        world: World,
        name: str,
        taken: Iterable[str],
        base: "Lexicon | None",
    ) -> None:
        rng = generator(world.seed, f"lexicon-{name}")
        self.phonology = Phonology(spec, rng, max(300, world.lexemes.end // 3))
        self.morphology = Morphology(spec, self.phonology, rng)
        self._name = name
        self._foreign = set(taken)
        self._own: set[str] = set()
        self.function: dict[str, str] = {word: self._new(rng, 1, "")[0] for word in FUNCTION_WORDS}
        self.function |= dict(zip(MARKS, marks(spec.script, self._foreign), strict=True))
        # A second word for some nouns: synonyms.
        self.second: dict[int, str] = {}
        self.forms: list[str] = [""] * world.lexemes.end
        self.sounds: list[str] = [""] * world.lexemes.end
        self._coin(rng, spec, world, base)

    def part(self, lexeme: int, world: World) -> str:
        """Return the inflecting part of speech of a lexeme, or the empty string."""
        first = world.lexemes
        if lexeme < first.verb:
            return "noun"
        if lexeme < first.adjective:
            return "verb"
        return "adjective" if lexeme < first.adverb else ""

    def _coin(
        self, rng: np.random.Generator, spec: LanguageSpec, world: World, base: "Lexicon | None"
    ) -> None:
        first = world.lexemes
        change = sound_change(generator(world.seed, f"sound-change-{self._name}"))
        for lexeme in rng.permutation(first.end):
            part = self.part(int(lexeme), world)
            inherits = rng.random() < spec.cognates
            form = ""
            if base is not None and inherits and lexeme < first.given:
                form = self._inherit(base.sounds[lexeme], change, part)
            syllables = 2 + (rng.random() < 0.35)
            if not form:
                form, self.sounds[lexeme] = self._new(rng, syllables, part)
            self.forms[lexeme] = form
        if self._name == BASE:
            digits = {first.numeral + i: str(value) for i, value in enumerate(NUMERALS)}
            for lexeme, digit in digits.items():
                self.forms[lexeme] = digit
        share = generator(world.seed, f"homonyms-{self._name}")
        for noun in range(8 + world.spec.classes, world.spec.nouns):
            if share.random() < spec.homonyms:
                other = int(share.integers(8 + world.spec.classes, world.spec.nouns))
                self.forms[noun] = self.forms[other]
            elif share.random() < spec.synonyms:
                self.second[noun] = self._new(rng, 2, "noun")[0]
        for lexeme, noun in world.namesakes.items():
            self.forms[lexeme] = self.forms[noun]

    def all_forms(self) -> set[str]:
        """Return every string the language can use, punctuation included."""
        return self._own | set(self.forms) | set(self.function.values())

    def _inherit(self, sounds: str, change: dict[str, str], part: str) -> str:
        shifted = shift_sounds(sounds, change)
        form = self.phonology.spell(shifted if shifted != sounds else sounds + "e")
        return form if self._claim(form, part) else ""

    def _new(self, rng: np.random.Generator, syllables: int, part: str) -> tuple[str, str]:
        """Return an unused form and its sounds."""
        for attempt in range(100_000):
            sounds = self.phonology.sounds(rng, syllables + attempt // 20)
            form = self.phonology.spell(sounds)
            if self._claim(form, part):
                return form, sounds
        raise AssertionError("unreachable: words grow until one is free")

    def _claim(self, form: str, part: str) -> bool:
        """Take a form with its whole paradigm if neither collides with anything."""
        forms = self.morphology.paradigm(part, form) if part else [form]
        if any(one in self._own or one in self._foreign for one in forms):
            return False
        self._own.update(forms)
        return True


class Words:
    """Makes words.

    Args:
        spec: Typological parameters.
        world: Concepts and entities.
        lexicon: The language's words.
        borrowed: Lexemes, function words and marks whose (invariable) string is the base's.
    """

    def __init__(
        self,
        spec: LanguageSpec,
        world: World,
        lexicon: Lexicon,
        borrowed: dict[int | str, str],
    ) -> None:
        self.spec, self.world = spec, world
        self._lexicon, self._borrowed = lexicon, borrowed
        self._function = lexicon.function | {
            name: form for name, form in borrowed.items() if isinstance(name, str)
        }
        self._entries: dict[tuple[int, int, tuple[int, ...]], tuple[str, str, str]] = {}
        self._nouns, self._events = world.spec.nouns, world.spec.events
        self._case_affix = spec.case == "affix"

    def entry(self, lexeme: int, features: tuple[int, ...], second: bool) -> tuple[str, str, str]:
        """Return (form, lemma, gloss of the features) of an inflecting word; cached."""
        key = (lexeme, int(second), features)
        found = self._entries.get(key)
        if found is None:
            found = self._entries[key] = self._inflect(lexeme, features, second)
        return found

    def _inflect(
        self, lexeme: int, features: tuple[int, ...], second: bool
    ) -> tuple[str, str, str]:
        if lexeme in self._borrowed:
            return self._borrowed[lexeme], self._borrowed[lexeme], ""
        lexicon = self._lexicon
        stem = lexicon.second.get(lexeme, "") if second else ""
        stem = stem or lexicon.forms[lexeme]
        part = lexicon.part(lexeme, self.world)
        if part == "verb":
            names: tuple[str, ...] = (mo.TENSES[features[0]], "Plur", "Neg", "Pass")
        else:
            names = (mo.CASES[features[0]], "Plur", "Def")
        gloss = ".".join(name for name, value in zip(names, features, strict=True) if value)
        return lexicon.morphology.inflect(part, stem, features), stem, gloss

    def form(self, lexeme: int) -> str:
        """Return the form of a word that does not inflect."""
        return self._borrowed.get(lexeme) or self._lexicon.forms[lexeme]

    def particle(self, name: str, upos: str, deprel: str, head: Word | None, key: int) -> Word:
        """Return a function word or a punctuation mark."""
        form = self._function[name]
        return Word(form, form, upos, deprel, head, key, name)
