"""Glosses: names for what words mean, for readers."""

from xling.conlang.trees import Word
from xling.conlang.world import KINDS, NUMERALS, World


def concept(world: World, noun: int) -> str:
    """Return the name of a common-noun concept: ``animal``, ``animal2`` or ``animal2.17``."""
    if noun < 8:
        return KINDS[noun]
    leaf = int(world.noun_class[noun])
    kind = int(world.class_kind[leaf])
    number = leaf - int((world.class_kind < kind).sum()) + 1
    name = f"{KINDS[kind]}{number}"
    if noun < 8 + world.spec.classes:
        return name
    return f"{name}.{int((world.by_class[leaf] < noun).sum())}"


def lexeme(world: World, number: int) -> str:
    """Return the name of a lexeme."""
    first = world.lexemes
    if number < first.verb:
        return concept(world, number)
    if number >= first.numeral:
        return str(NUMERALS[number - first.numeral])
    for start, name in (
        (first.organisation, "Org"),
        (first.place, "Place"),
        (first.family, "Family"),
        (first.given, "Given"),
        (first.adverb, "manner"),
        (first.adjective, "quality"),
    ):
        if number >= start:
            return f"{name}{number - start + 1}"
    return f"event{number - first.verb + 1}"


def gloss(world: World, word: Word) -> str:
    """Return a word's gloss: its lexeme and its inflection."""
    name = word.lexeme if isinstance(word.lexeme, str) else lexeme(world, word.lexeme)
    return f"{name}.{word.features}" if word.features else name
