"""Words in a sentence with their syntax and glosses, and the gold formats made from them."""

from collections.abc import Sequence
from dataclasses import dataclass

from xling.conlang.world import KINDS, NUMERALS, World


@dataclass(slots=True, eq=False)
class Word:
    """One syntactic word.

    Attributes:
        form: What is written.
        lemma: The citation form.
        upos: Universal part of speech.
        deprel: Universal dependency relation to ``head``.
        head: The governing word, None for the root.
        key: What part of the meaning it expresses; words of two languages with the same
            key translate each other.
        lexeme: Number of the lexeme, or name of the function word or mark.
        features: Inflection, as a gloss (``Acc.Pl``).
        entity: Head number of the named entity that it belongs to, or -1.
    """

    form: str
    lemma: str
    upos: str
    deprel: str
    head: "Word | None"
    key: int
    lexeme: int | str
    features: str = ""
    entity: int = -1


Sentence = list[Word]


def written(sentence: Sentence, spaces: bool) -> str:
    """Return the line of text: words with spaces between them, or none."""
    return (" " if spaces else "").join([word.form for word in sentence])


def conllu(sentence: Sentence, identifier: str, spaces: bool, glosses: Sequence[str]) -> str:
    """Return a sentence as a CoNLL-U block, its blank line included."""
    place = {id(word): number for number, word in enumerate(sentence, 1)}
    lines = [f"# sent_id = {identifier}", f"# text = {written(sentence, spaces)}"]
    for number, (word, meaning) in enumerate(zip(sentence, glosses, strict=True), 1):
        head = place[id(word.head)] if word.head is not None else 0
        misc = f"Gloss={meaning}"
        if not spaces and number < len(sentence):
            misc += "|SpaceAfter=No"
        lines.append(
            f"{number}\t{word.form}\t{word.lemma}\t{word.upos}\t_\t_\t{head}\t{word.deprel}\t_\t{misc}"
        )
    return "\n".join(lines) + "\n\n"


def iob2(sentence: Sentence, kinds: Sequence[str]) -> str:
    """Return a sentence in IOB2, its blank line included.

    Args:
        sentence: The words.
        kinds: For each word the type of the name it belongs to, or the empty string.
    """
    lines, inside = [], None
    for word, kind in zip(sentence, kinds, strict=True):
        if not kind:
            tag, inside = "O", None
        else:
            # A name is one mention; the slot in its key tells two mentions in a row apart.
            mention = (word.entity, word.key >> 4)
            tag = f"I-{kind}" if mention == inside else f"B-{kind}"
            inside = mention
        lines.append(f"{word.form}\t{tag}")
    return "\n".join(lines) + "\n\n"


def alignment(source: Sentence, target: Sentence) -> str:
    """Return the word alignment of two renderings of one meaning (Pharaoh, from 0).

    Words that express the same part of the meaning are aligned.
    """
    places: dict[int, list[int]] = {}
    for number, word in enumerate(target):
        places.setdefault(word.key, []).append(number)
    return " ".join(
        f"{number}-{other}"
        for number, word in enumerate(source)
        for other in places.get(word.key, ())
    )


def _concept(world: World, noun: int) -> str:
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


def _lexeme(world: World, number: int) -> str:
    """Return the name of a lexeme."""
    first = world.lexemes
    if number < first.verb:
        return _concept(world, number)
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
    name = word.lexeme if isinstance(word.lexeme, str) else _lexeme(world, word.lexeme)
    return f"{name}.{word.features}" if word.features else name
