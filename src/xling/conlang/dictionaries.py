"""Bilingual dictionaries by sense, with weights from frequency."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from xling.conlang.language import Language
from xling.conlang.lexicon import FUNCTION_WORDS
from xling.conlang.world import World
from xling.randomness import generator

# Function words that express a meaning of their own, rather than a grammatical relation.
_MEANINGFUL = ("ALL", "SOME", "NO", "NOT", "AND", "BUT", "BECAUSE", "AT")


def dictionary(
    base: Language, language: Language, counts: Mapping[int | str, int], test_share: float
) -> tuple[str, str]:
    """Return the training and the test dictionary from the base to a language.

    One row for each source word and translation: ``source TAB target TAB weight``, where a source
    word's weights sum to 1: the share of its uses that the translation renders. Source
    words come by falling frequency; training and test share none of them.

    Args:
        base: The source language.
        language: The target language.
        counts: How often the base uses each lexeme and function word.
        test_share: Share of the source words that the test dictionary gets.
    """
    world = base.world
    weights: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for lexeme in _senses(world):
        count = counts.get(lexeme, 0) + 0.1
        for source, share in _words(base, lexeme):
            for target, other in _words(language, lexeme):
                weights[source][target] += count * share * other
    sources = sorted(weights, key=lambda word: (-sum(weights[word].values()), word))
    rng = generator(world.seed, f"dictionary-{language.name}")
    tested = set(rng.permutation(len(sources))[: round(test_share * len(sources))].tolist())
    parts: tuple[list[str], list[str]] = ([], [])
    for number, source in enumerate(sources):
        total = sum(weights[source].values())
        parts[number in tested].extend(
            f"{source}\t{target}\t{weight / total:.4f}\n"
            for target, weight in sorted(
                weights[source].items(), key=lambda pair: (-pair[1], pair[0])
            )
        )
    return "".join(parts[0]), "".join(parts[1])


def _senses(world: World) -> Iterator[int | str]:
    yield from range(world.lexemes.given)
    yield from range(world.lexemes.numeral, world.lexemes.end)
    yield from (word for word in FUNCTION_WORDS if word in _MEANINGFUL)


def _words(language: Language, sense: int | str) -> list[tuple[str, float]]:
    """Return the words of a sense with the share of its uses each has."""
    if isinstance(sense, str):
        return [(str(language.anchors.get(sense, language.lexicon.function[sense])), 1.0)]
    forms = language.citation(sense)
    return [(form, 1 / len(forms)) for form in forms]
