"""The words of a sentence: inflected forms and particles of one language."""

from xling.conlang import morphology as mo
from xling.conlang.lexicon import Lexicon
from xling.conlang.spec import LanguageSpec
from xling.conlang.trees import Word
from xling.conlang.world import World


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
