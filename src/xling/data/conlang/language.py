"""A language: its lexicon and grammar, and what it shares with the base language."""

from collections import Counter
from collections.abc import Iterable

from xling.data.conlang.grammar import Grammar
from xling.data.conlang.lexicon import FUNCTION_WORDS, MARKS, Lexicon
from xling.data.conlang.ownership import Source
from xling.data.conlang.presets import BASE
from xling.data.conlang.spec import ConlangSpec, LanguageSpec
from xling.data.conlang.trees import Sentence
from xling.data.conlang.world import World
from xling.randomness import generator

# Sentences on which the anchors' share is measured.
_SAMPLE = 6000


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
    for name, typology in spec.languages.items():
        taken: set[str] = set()
        for other, lexicon in lexicons.items():
            if spec.languages[other].script == typology.script:
                taken |= lexicon.all_forms()
        lexicons[name] = Lexicon(typology, world, name, taken, lexicons.get(BASE))
        if name in wanted:
            plain = Language(name, typology, world, lexicons[name], {})
            anchors = _choose_anchors(spec, world, languages[BASE], plain) if languages else {}
            languages[name] = Language(name, typology, world, lexicons[name], anchors)
    return languages


def _choose_anchors(
    spec: ConlangSpec, world: World, base: Language, language: Language
) -> dict[int | str, str]:
    """Choose whose strings to share so that their tokens have the dialled share.

    Numerals and names come first, then marks, adverbs and function words, then loans among
    the other words. Shares are measured on sentences of all domains, as the mean of both languages.
    """
    if language.spec.anchors == 0:
        return {}
    base_forms, own_forms = _token_shares(spec, world, base), _token_shares(spec, world, language)
    base_total, own_total = sum(base_forms.values()), sum(own_forms.values())
    citation = base.lexicon.function | dict(enumerate(base.lexicon.forms))
    own_by_lexeme: Counter[int | str] = Counter()
    for (lexeme, _), count in own_forms.items():
        own_by_lexeme[lexeme] += count
    chosen: dict[int | str, str] = {}
    missing = language.spec.anchors
    for lexeme in _candidates(world, base):
        string = citation[lexeme]
        share = (base_forms[lexeme, string] / base_total + own_by_lexeme[lexeme] / own_total) / 2
        if 0 < share <= missing:
            chosen[lexeme] = string
            missing -= share
    return chosen


def _token_shares(
    spec: ConlangSpec, world: World, language: Language
) -> Counter[tuple[int | str, str]]:
    source = Source(spec, world)
    total = sum(domain.sentences for domain in spec.domains.values()) or 1
    counts: Counter[tuple[int | str, str]] = Counter()
    for domain, size in spec.domains.items():
        number = round(_SAMPLE * size.sentences / total)
        if not number:
            continue
        owner = source.owners.text(language.name)
        meanings, _ = source.draw(owner, domain, "anchors", 0, number)
        styles = source.styles(language.name, "anchors", 0, number)
        for row, style in zip(meanings.tolist(), styles, strict=True):
            counts.update(
                (word.lexeme, word.form) for word in language.grammar.sentence(row, style)
            )
    return counts


def lexeme_counts(spec: ConlangSpec, world: World, language: Language) -> Counter[int | str]:
    """Return how often each lexeme occurs in a sample of a language's text."""
    counts: Counter[int | str] = Counter()
    for (lexeme, _), count in _token_shares(spec, world, language).items():
        counts[lexeme] += count
    return counts


def _candidates(world: World, base: Language) -> list[int | str]:
    """Return what may be shared, in the order in which the dial takes it."""
    first = world.lexemes
    rng = generator(world.seed, "anchors")
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
