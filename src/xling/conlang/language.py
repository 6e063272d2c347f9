"""A language: its lexicon, its grammar, and the strings it shares with the base language."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from xling.conlang.grammar import Grammar
from xling.conlang.lexicon import FUNCTION_WORDS, MARKS, Lexicon
from xling.conlang.meaning import Source
from xling.conlang.spec import BASE, ConlangSpec, LanguageSpec
from xling.conlang.trees import Sentence
from xling.conlang.world import World
from xling.randomness import generator

# Number of sentences on which frequencies are measured.
_SAMPLE = 5000


class Language:
    """One constructed language.

    Attributes:
        name: Its code.
        spec: Its typological parameters.
        lexicon: Its words.
        anchors: The lexemes, function words and marks it writes as the base does.
    """

    def __init__(
        self,
        name: str,
        spec: LanguageSpec,
        world: World,
        lexicon: Lexicon,
        anchors: dict[int | str, str],
    ) -> None:
        self.name, self.spec, self.world = name, spec, world
        self.lexicon, self.anchors = lexicon, anchors
        self.grammar = Grammar(spec, world, lexicon, anchors)

    @classmethod
    def build(cls, spec: ConlangSpec, world: World, name: str) -> "Language":
        """Build one language of a specification (pure function of its arguments)."""
        return build_languages(spec, world, [name])[name]

    def render(self, meaning: Iterable[int], style: int = 1) -> Sentence:
        """Return the sentence that expresses a meaning, with its syntax.

        Args:
            meaning: WIDTH integers (one row of `meaning.Meanings`).
            style: Random bits that choose among wordings.
        """
        return self.grammar.sentence(list(map(int, meaning)), style)

    def citation(self, lexeme: int) -> list[str]:
        """Return a lexeme's citation forms, the usual one first."""
        if lexeme in self.anchors:
            return [self.anchors[lexeme]]
        forms = [self.lexicon.forms[lexeme]]
        if lexeme in self.lexicon.second:
            forms.append(self.lexicon.second[lexeme])
        return forms


def build_languages(
    spec: ConlangSpec, world: World, names: Iterable[str] | None = None
) -> dict[str, Language]:
    """Build some languages of a specification (all by default), the base always first."""
    wanted = set(spec.languages if names is None else names) | {BASE}
    lexicons: dict[str, Lexicon] = {}
    languages: dict[str, Language] = {}
    sample = sample_meanings(spec, world)
    for name, typology in spec.languages.items():
        taken: set[str] = set()
        for other, lexicon in lexicons.items():
            if spec.languages[other].script == typology.script:
                taken |= lexicon.all_forms()
        lexicons[name] = Lexicon(typology, world, name, taken, lexicons.get(BASE))
        if name in wanted:
            anchors: dict[int | str, str] = {}
            if typology.anchors:
                plain = Language(name, typology, world, lexicons[name], {})
                anchors = _choose_anchors(languages[BASE], plain, sample)
            languages[name] = Language(name, typology, world, lexicons[name], anchors)
    return languages


def sample_meanings(spec: ConlangSpec, world: World) -> list[tuple[list[int], int]]:
    """Return meanings with styles, of all domains by size, to measure frequencies on."""
    source = Source(spec, world)
    sizes = [domain.sentences for domain in spec.domains.values()]
    total = sum(sizes)
    sample: list[tuple[list[int], int]] = []
    for domain, size in zip(spec.domains, sizes, strict=True):
        count = round(_SAMPLE * (size / total if total else 1 / len(sizes)))
        if count:
            meanings, _ = source.draw(source.owners.text(BASE), domain, "sample", 0, count)
            styles = source.styles(BASE, "sample", 0, count)
            sample.extend(zip(meanings.tolist(), styles, strict=True))
    return sample


def _choose_anchors(
    base: Language, language: Language, sample: Sequence[tuple[list[int], int]]
) -> dict[int | str, str]:
    """Choose lexemes to share strings, so that their tokens make up the requested share.

    Numerals and names come first, then marks, adverbs and function words, then loans among
    the other words. Shares are measured on the sample, as the mean of both languages.
    """
    base_forms = Counter(
        (word.lexeme, word.form) for one in sample for word in base.grammar.sentence(*one)
    )
    own_uses = lexeme_counts(language, sample)
    base_total, own_total = base_forms.total(), own_uses.total()
    citation = base.lexicon.function | dict(enumerate(base.lexicon.forms))
    chosen: dict[int | str, str] = {}
    missing = language.spec.anchors
    for lexeme in _candidates(base):
        string = citation[lexeme]
        share = (base_forms[lexeme, string] / base_total + own_uses[lexeme] / own_total) / 2
        if 0 < share <= missing:
            chosen[lexeme] = string
            missing -= share
    return chosen


def lexeme_counts(
    language: Language, sample: Sequence[tuple[list[int], int]]
) -> Counter[int | str]:
    """Return how often each lexeme, function word and mark occurs in a sample of meanings."""
    return Counter(word.lexeme for one in sample for word in language.grammar.sentence(*one))


def _candidates(base: Language) -> list[int | str]:
    """Return what may be shared, in the order in which strings are shared."""
    first = base.world.lexemes
    rng = generator(base.world.seed, "anchors")
    uses = Counter(base.lexicon.forms)
    numerals = list(range(first.numeral, first.end))
    names = list(range(first.given, first.numeral))
    adverbs = list(range(first.adverb, first.given))
    loans = list(range(first.adverb))
    for group in (names, adverbs, loans):
        rng.shuffle(group)
    order: list[int | str] = [*numerals, *names, *MARKS, *adverbs, *FUNCTION_WORDS, *loans]
    return [
        lexeme
        for lexeme in order
        if isinstance(lexeme, str) or uses[base.lexicon.forms[lexeme]] == 1
    ]


# Function words that express a meaning of their own, rather than a grammatical relation.
_MEANINGFUL = ("ALL", "SOME", "NO", "NOT", "AND", "BUT", "BECAUSE", "AT")


def dictionary(
    base: Language, language: Language, counts: Mapping[int | str, int], test_share: float
) -> tuple[str, str]:
    """Return the training and the test dictionary from the base to a language.

    One row for each source word and translation: ``source TAB target TAB weight``. The weight is
    the share of the source word's uses that the translation renders; a word's weights sum to 1.
    Source words come by falling frequency; training and test share none of them.

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
