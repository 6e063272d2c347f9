"""Meanings: small typed structures, one row of integers each, drawn in bulk.

A sentence has one or two clauses; a clause has a predicate, tense, polarity, manner and four
roles; a role's filler has a head, a quantifier, a property and a possessor. Rows have the
same width for all sentences (absent = -1), so that a block of thousands is drawn, identified
and filtered by a few array operations.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from xling.conlang.spec import ConlangSpec
from xling.conlang.world import (
    COGNITION,
    DITRANSITIVE,
    INSTITUTION,
    INTRANSITIVE,
    LOC,
    NUMERALS,
    ORG,
    PER,
    PERSON,
    PLACE,
    Floats,
    Ints,
    World,
)
from xling.errors import XlingError
from xling.randomness import derive_seed, generator

Meanings = NDArray[np.int64]

# Columns of a filler.
HEAD, QUANTIFIER, PROPERTY, POSSESSOR = range(4)
# Columns of a clause.
PREDICATE, TENSE, NEGATED, MANNER, AGENT, PATIENT, RECIPIENT, LOCATION = 0, 1, 2, 3, 4, 8, 12, 16
CLAUSE_WIDTH = 20
ROLES = (AGENT, PATIENT, RECIPIENT, LOCATION)
# Columns of a sentence.
LINK, FIRST, SECOND = 0, 1, 1 + CLAUSE_WIDTH
WIDTH = 1 + 2 * CLAUSE_WIDTH

# How the second clause is linked to the first.
ALONE, AND, BUT, BECAUSE, COMPLEMENT, RELATIVE_AGENT, RELATIVE_PATIENT = range(7)
_LINKS = np.cumsum([0.58, 0.1, 0.05, 0.06, 0.07, 0.08, 0.06])
PRESENT, PAST, FUTURE = range(3)

# Quantifiers; 8 and above are numerals, NUMERALS[q - 8].
BARE, THE, THE_MANY, ONE, SEVERAL, ALL, SOME, NO, NUMBER = range(9)
_QUANTIFIERS = np.cumsum([0, 0.41, 0.14, 0.2, 0.07, 0.05, 0.04, 0.02])
PLURAL = (False, False, True, False, True, True, True, False) + (True,) * len(NUMERALS)


def identifiers(meanings: Meanings) -> NDArray[np.uint64]:
    """Return a stable 64-bit identifier of each meaning (splitmix64 over its columns).

    Args:
        meanings: Rows of integers, shape [N, WIDTH].
    """
    mixed = np.zeros(len(meanings), dtype=np.uint64)
    for column in meanings.T:
        mixed += column.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed


# Quantifiers that languages without articles or plural do not tell apart become one.
_COARSE = np.array([THE, THE, THE, THE, THE, *range(ALL, NUMBER + len(NUMERALS))])
_QUANTIFIER_COLUMNS = [start + role + QUANTIFIER for start in (FIRST, SECOND) for role in ROLES]


def coarse(meanings: Meanings) -> Meanings:
    """Return the meanings without definiteness, number (unless counted) and tense.

    Meanings that some language may express by the same string are equal in this form.
    """
    merged = meanings.copy()
    quantifiers = merged[:, _QUANTIFIER_COLUMNS]
    merged[:, _QUANTIFIER_COLUMNS] = np.where(quantifiers < 0, quantifiers, _COARSE[quantifiers])
    merged[:, [FIRST + TENSE, SECOND + TENSE]] = PRESENT
    return merged


class Sampler:
    """Draws meanings of one domain.

    Args:
        world: What there is to talk about.
        domain: Which of the spec's domains.
        shift: How far constructions depart from the shared ones, in [0, 1].
    """

    def __init__(self, world: World, domain: str, shift: float) -> None:
        self.world = world
        self.domain = world.domains.index(domain)
        self.contexts = len(world.domains) * world.spec.topics
        # A shifted domain has shorter sentences, with fewer modifiers and more negation.
        links = _LINKS.copy()
        links[0] += 0.6 * shift * (1 - links[0])
        self._links: Floats = np.maximum.accumulate(links)
        self._modified = 0.3 * (1 - 0.6 * shift)
        self._negated = 0.06 * (1 + 2 * shift)
        self._past = 0.55 * (1 - 0.7 * shift)

    def draw(self, rng: np.random.Generator, topics: Ints, people: Ints) -> Meanings:
        """Draw one meaning for each sentence of some documents.

        Args:
            rng: Source of randomness.
            topics: Topic of each sentence, shape [N].
            people: Head number of the person each sentence's document is about, shape [N].

        Returns:
            Meanings, shape [N, WIDTH].
        """
        count = len(topics)
        rows = np.full((count, WIDTH), -1, dtype=np.int64)
        context = self.domain * self.world.spec.topics + topics
        link = np.minimum(
            np.searchsorted(self._links, rng.random(count), side="right"), RELATIVE_PATIENT
        )
        first = rows[:, FIRST:SECOND]
        thinks = link == COMPLEMENT
        events = self.world.event.draw(context, rng.random(count))
        if thinks.any():
            some = rng.random(int(thinks.sum()))
            events[thinks] = self.world.cognition.draw(context[thinks], some)
        self._clause(rng, first, events, context, people, copular=link < COMPLEMENT)
        world, head = self.world, first[:, AGENT + HEAD]
        # A relative clause needs a common noun to modify, and a filler that fits its event.
        patient = first[:, PATIENT + HEAD]
        nouns = world.spec.nouns
        link = np.where((link == RELATIVE_AGENT) & ((head < 8) | (head >= nouns)), ALONE, link)
        barred = (link == RELATIVE_PATIENT) & ((patient < 8) | (patient >= nouns))
        rows[:, LINK] = np.where(barred, ALONE, link)
        self._second(rng, rows, context, people)
        return rows

    def _second(
        self, rng: np.random.Generator, rows: Meanings, context: Ints, people: Ints
    ) -> None:
        world, link = self.world, rows[:, LINK]
        two = np.flatnonzero(link != ALONE)
        if not len(two):
            return
        link, chosen = link[two], context[two]
        events = world.event.draw(chosen, rng.random(len(two)))
        by_agent, by_patient = link == RELATIVE_AGENT, link == RELATIVE_PATIENT
        for mask, role, table in (
            (by_agent, AGENT, world.event_of_agent),
            (by_patient, PATIENT, world.event_of_patient),
        ):
            heads = rows[two[mask], FIRST + role + HEAD]
            events[mask] = table.draw(world.noun_class[heads], rng.random(len(heads)))
        clause = np.full((len(two), CLAUSE_WIDTH), -1, dtype=np.int64)
        self._clause(rng, clause, events, chosen, people[two], copular=link < RELATIVE_AGENT)
        # The gap of a relative clause is the noun it modifies.
        clause[by_agent, AGENT : AGENT + 4] = -1
        clause[by_patient, PATIENT : PATIENT + 4] = -1
        rows[two, SECOND:] = clause

    def _clause(
        self,
        rng: np.random.Generator,
        clause: Meanings,
        events: Ints,
        context: Ints,
        people: Ints,
        copular: NDArray[np.bool_],
    ) -> None:
        """Fill one clause for each row of ``clause`` [N, CLAUSE_WIDTH] in place."""
        world, size, count = self.world, self.world.spec, len(clause)
        if not count:
            return
        uniform = rng.random((6, count))
        clause[:, PREDICATE] = events
        clause[:, TENSE] = np.where(
            uniform[0] < self._past, PAST, np.where(uniform[0] < 0.85, PRESENT, FUTURE)
        )
        clause[:, NEGATED] = uniform[1] < self._negated
        manner = world.manner.draw(events, uniform[2])
        clause[:, MANNER] = np.where(uniform[3] < 0.8 * self._modified, manner, -1)
        everyone = np.arange(count)
        self._filler(rng, clause, AGENT, everyone, events, context, people)
        valency = world.valency[events]
        has_patient = np.flatnonzero((valency != INTRANSITIVE) & (valency != COGNITION))
        self._filler(rng, clause, PATIENT, has_patient, events, context, people)
        receives = np.flatnonzero(valency == DITRANSITIVE)
        self._filler(rng, clause, RECIPIENT, receives, events, context, people)
        self._locate(rng, clause, np.flatnonzero(uniform[4] < 0.28), context)
        self._copular(rng, clause, np.flatnonzero(copular & (uniform[5] < 0.1)), size.events)

    def _filler(
        self,
        rng: np.random.Generator,
        clause: Meanings,
        role: int,
        rows: Ints,
        events: Ints,
        context: Ints,
        people: Ints,
    ) -> None:
        world, size = self.world, self.world.spec
        uniform = rng.random((10, len(rows)))
        number = (role - AGENT) // 4
        head = world.filler.draw(number * size.events + events[rows], uniform[0])
        leaf = world.noun_class[head]
        topical = world.noun_of_class.draw(leaf * self.contexts + context[rows], uniform[1])
        head = np.where(uniform[2] < 0.5, topical, head)
        kind = world.class_kind[leaf]
        somebody = world.entity.draw(PER * self.contexts + context[rows], uniform[4])
        # The person a document is about is mentioned again and again.
        somebody = np.where(uniform[5] < 0.5, people[rows], somebody)
        firm = world.entity.draw(ORG * self.contexts + context[rows], uniform[4])
        head = np.where((kind == PERSON) & (uniform[3] < 0.4), somebody, head)
        head = np.where((kind == INSTITUTION) & (uniform[3] < 0.5), firm, head)
        named = head >= size.nouns
        quantifier = np.searchsorted(_QUANTIFIERS, uniform[6], side="right")
        numeral = NUMBER + (len(NUMERALS) * uniform[7] ** 2).astype(np.int64)
        quantifier = np.where(quantifier > NO, numeral, quantifier)
        negated = clause[rows, NEGATED] > 0
        quantifier = np.where((quantifier == NO) & negated, ONE, quantifier)
        noun = np.where(named, 0, head)
        prop = world.property.draw(noun, uniform[8])
        owner = world.entity.draw(PER * self.contexts + context[rows], uniform[9])
        place = kind == PLACE
        clause[rows, role + HEAD] = head
        clause[rows, role + QUANTIFIER] = np.where(named, BARE, quantifier)
        modified = ~named & (rng.random(len(rows)) < self._modified)
        clause[rows, role + PROPERTY] = np.where(modified, prop, -1)
        definite = (quantifier == THE) | (quantifier == THE_MANY)
        owned = ~named & ~place & definite & (rng.random(len(rows)) < 0.15)
        clause[rows, role + POSSESSOR] = np.where(owned, owner, -1)

    def _locate(
        self, rng: np.random.Generator, clause: Meanings, rows: Ints, context: Ints
    ) -> None:
        world = self.world
        uniform = rng.random((5, len(rows)))
        head = world.place_of_topic.draw(context[rows], uniform[0])
        city = world.entity.draw(LOC * self.contexts + context[rows], uniform[0])
        named = uniform[1] < 0.45
        quantifier = np.where(uniform[2] < 0.65, THE, np.where(uniform[2] < 0.9, ONE, THE_MANY))
        clause[rows, LOCATION + HEAD] = np.where(named, city, head)
        clause[rows, LOCATION + QUANTIFIER] = np.where(named, BARE, quantifier)
        prop = world.property.draw(np.where(named, 0, head), uniform[3])
        modified = ~named & (uniform[4] < self._modified)
        clause[rows, LOCATION + PROPERTY] = np.where(modified, prop, -1)

    def _copular(
        self, rng: np.random.Generator, clause: Meanings, rows: Ints, first_property: int
    ) -> None:
        """Turn some clauses into copular ones: their agent has a property, or is of a kind."""
        world, size = self.world, self.world.spec
        head = clause[rows, AGENT + HEAD]
        named = head >= size.nouns
        uniform = rng.random((2, len(rows)))
        prop = world.property.draw(np.where(named, 8 + world.head_class[head], head), uniform[0])
        leaf = world.head_class[head]
        kind = world.noun_of_class.draw(leaf * self.contexts, uniform[1])
        kind = np.where(rng.random(len(rows)) < 0.3, world.class_kind[leaf], kind)
        clause[rows, PREDICATE] = np.where(
            named, first_property + size.properties + kind, first_property + prop
        )
        clause[rows, MANNER] = -1
        clause[rows, PATIENT : RECIPIENT + 4] = -1
        clause[rows, AGENT + PROPERTY] = -1


Prepare = Callable[[Meanings], tuple[Meanings, NDArray[np.bool_]]]

EVALUATION = ("train", "dev", "test", "parallel")
_EVALUATION_SHARE = 0.06
_TEXT = "text"
_ROUNDS = 200
_TRIES = 32


class Owners:
    """Says which part of the data folder may use which meaning.

    Every meaning has exactly one owner, found from its identifier alone. A part draws until all its
    meanings are its own. So the texts of two languages (unless ``parallel_text``), and training,
    development, test and parallel data, never share a meaning, whatever their sizes and without
    any list.
    """

    def __init__(self, spec: ConlangSpec) -> None:
        writers = (_TEXT,) if spec.parallel_text else tuple(spec.languages)
        self.names = (*EVALUATION, *(f"text:{writer}" for writer in writers))
        text = (1 - _EVALUATION_SHARE * len(EVALUATION)) / len(writers)
        shares = [_EVALUATION_SHARE] * len(EVALUATION) + [text] * len(writers)
        self._steps = np.cumsum(shares)[:-1]
        self._salt = np.uint64(derive_seed(spec.seed, "owners") & 0xFFFFFFFFFFFFFFFF)

    def text(self, language: str) -> str:
        """Return the owner of a language's monolingual text."""
        return f"text:{language}" if f"text:{language}" in self.names else f"text:{_TEXT}"

    def owned(self, meanings: Meanings, owner: str) -> NDArray[np.bool_]:
        """Tell which meanings belong to ``owner``."""
        mixed = (identifiers(coarse(meanings)) ^ self._salt) * np.uint64(0xD6E8FEB86659FD93)
        share = (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
        return np.asarray(
            np.searchsorted(self._steps, share, side="right") == self.names.index(owner)
        )


class Source:
    """Meanings with topics and styles for any part of the data, block by block."""

    def __init__(self, spec: ConlangSpec, world: World) -> None:
        self.spec, self.world = spec, world
        self.owners = Owners(spec)
        self._samplers = {
            name: Sampler(world, name, domain.shift) for name, domain in spec.domains.items()
        }

    def draw(
        self,
        owner: str,
        domain: str,
        purpose: str,
        block: int,
        count: int,
        distinct: bool = False,
        length: int = 0,
        prepare: Prepare | None = None,
    ) -> tuple[Meanings, Ints]:
        """Draw documents that one part owns: a pure function of the arguments and the spec.

        Args:
            owner: One of ``Owners.names``.
            domain: Whose topics and constructions are used.
            purpose: What the meanings are for; keeps uses independent.
            block: Number of the block.
            count: Number of sentences; whole documents but for the last.
            distinct: Whether all meanings must differ.
            prepare: Changes meanings before they are judged, and says which may be used.
            length: Sentences per document, if not ``spec.document``.

        Returns:
            Meanings [count, WIDTH] and the topic of each [count].

        Raises:
            XlingError: If the world has too few meanings for this part.
        """
        world, length = self.world, length or self.spec.document
        rng = generator(self.spec.seed, f"meanings-{owner}-{domain}-{purpose}", block)
        documents = -(-count // length)
        place = np.full(documents, world.domains.index(domain))
        topic = world.topics.draw(place, rng.random(documents))
        context = place * world.spec.topics + topic
        contexts = len(world.domains) * world.spec.topics
        person = world.entity.draw(PER * contexts + context, rng.random(documents))
        topics = np.repeat(topic, length)[:count]
        people = np.repeat(person, length)[:count]
        sampler = self._samplers[domain]
        meanings = np.zeros((count, WIDTH), dtype=np.int64)
        missing = np.ones(count, dtype=bool)
        pending = np.arange(count)
        for _ in range(_ROUNDS):
            # The fewer sentences are missing, the more candidates each of them gets.
            tries = np.repeat(pending, max(1, min(_TRIES, count // len(pending))))
            drawn = sampler.draw(rng, topics[tries], people[tries])
            usable: NDArray[np.bool_] | bool = True
            if prepare is not None:
                drawn, usable = prepare(drawn)
            kept = np.flatnonzero(self.owners.owned(drawn, owner) & usable)
            found, first = np.unique(tries[kept], return_index=True)
            meanings[found] = drawn[kept[first]]
            missing[found] = False
            if distinct:
                missing |= _repeated(meanings) & ~missing
            pending = np.flatnonzero(missing)
            if not len(pending):
                return meanings, topics
        raise XlingError(
            f"spec: world: too small for {count} different sentences of part {purpose}; "
            "make world.nouns or world.events larger, or the part smaller"
        )

    def styles(self, language: str, purpose: str, block: int, count: int) -> list[int]:
        """Return 62 random bits per sentence that choose among wordings of its meaning."""
        rng = generator(self.spec.seed, f"style-{language}-{purpose}", block)
        drawn: list[int] = rng.integers(1 << 62, size=count).tolist()
        return drawn


def _repeated(meanings: Meanings) -> NDArray[np.bool_]:
    """Tell which meanings occurred before."""
    _, first = np.unique(identifiers(meanings), return_index=True)
    again = np.ones(len(meanings), dtype=bool)
    again[first] = False
    return again
