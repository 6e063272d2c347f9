"""The world that all languages speak about: concepts, entities, topics, preferences.

Everything is numbered. *Heads* of noun phrases are common-noun concepts
``0 .. nouns - 1`` followed by named entities; *predicates* are events
``0 .. events - 1``, then properties ("is red"), then noun concepts ("is a dog").
Words are numbered by `Lexemes`, over all categories.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from xling.conlang.spec import ConlangSpec, WorldSpec
from xling.randomness import generator

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Choices:
    """A categorical distribution over items for each row.

    Args:
        items: For each row, the items (integers) that can be chosen.
        weights: For each row, as many positive weights (any scale).
    """

    def __init__(self, items: Sequence[Ints], weights: Sequence[Floats]) -> None:
        self.items: Ints = np.concatenate([np.asarray(row, dtype=np.int64) for row in items])
        steps = []
        for number, row in enumerate(weights):
            share = np.cumsum(row, dtype=np.float64)
            share /= share[-1]
            share[-1] = 1.0
            steps.append(number + share)
        # Row r occupies the interval (r, r + 1], so that one search serves all rows.
        self._steps: Floats = np.concatenate(steps)

    def draw(self, rows: Ints, uniforms: Floats) -> Ints:
        """Draw one item for each row.

        Args:
            rows: Row numbers, shape [N].
            uniforms: Uniform draws from [0, 1), shape [N].

        Returns:
            Items, shape [N].
        """
        # Keeps row + uniform below the next row where the sum would round up to it.
        below = rows + uniforms * (1 - 1e-9)
        return self.items[np.searchsorted(self._steps, below, side="right")]


# The upper ontology: every leaf class belongs to one of these, with this share of the classes.
KINDS = ("person", "animal", "plant", "food", "artefact", "substance", "place", "institution")
_KIND_SHARE = (0.22, 0.15, 0.07, 0.1, 0.2, 0.08, 0.11, 0.07)
PERSON, ANIMAL, PLANT, FOOD, ARTEFACT, SUBSTANCE, PLACE, INSTITUTION = range(8)
_AGENT_KINDS = (0.55, 0.2, 0.02, 0.0, 0.08, 0.02, 0.0, 0.13)
_PATIENT_KINDS = (0.14, 0.14, 0.12, 0.16, 0.24, 0.14, 0.03, 0.03)
_RECIPIENT_KINDS = (0.6, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.2)

INTRANSITIVE, TRANSITIVE, DITRANSITIVE, COGNITION = range(4)
PER, LOC, ORG = range(3)
ENTITY_TYPES = ("PER", "LOC", "ORG")
NUMERALS = (2, 3, 4, 5, 6, 7, 8, 9)


@dataclass(frozen=True)
class Lexemes:
    """Where the words of each category start in one numbering of all words."""

    verb: int
    adjective: int
    adverb: int
    given: int
    family: int
    place: int
    organisation: int
    numeral: int
    end: int


@dataclass(frozen=True)
class Entities:
    """Named entities; entity e has ``kind[e]``, ``noun_class[e]`` and name ``parts[e]``."""

    kind: Ints
    noun_class: Ints
    parts: tuple[tuple[int, ...], ...]

    def type_of(self, entity: int) -> str:
        """Return PER, LOC or ORG; the empty string for a negative number (no entity)."""
        return ENTITY_TYPES[self.kind[entity]] if entity >= 0 else ""


class World:
    """Concepts and distributions over what is said of them, from ``spec.world`` and the seed."""

    def __init__(self, spec: ConlangSpec) -> None:
        self.spec: WorldSpec = spec.world
        self.seed = spec.seed
        self.domains = tuple(spec.domains)
        size = spec.world
        starts = [size.nouns]
        for count in (
            size.events,
            size.properties,
            size.manners,
            size.people,
            size.people,
            size.places,
            size.organisations,
            len(NUMERALS),
        ):
            starts.append(starts[-1] + count)
        self.lexemes = Lexemes(*starts)
        self._hierarchy()
        # Name lexemes that sound like a common noun, and that noun.
        self.namesakes: dict[int, int] = {}
        self.entities = self._name_entities()
        self._preferences({name: domain.shift for name, domain in spec.domains.items()})

    # ---------------------------------------------------------------- concepts

    def _hierarchy(self) -> None:
        size, rng = self.spec, generator(self.seed, "world-hierarchy")
        counts = np.ones(8, dtype=np.int64)
        while counts.sum() < size.classes:
            counts[np.argmax(np.array(_KIND_SHARE) * size.classes - counts)] += 1
        self.class_kind: Ints = np.repeat(np.arange(8), counts)
        # Concepts 0..7 name the kinds, the next ones the classes, the rest are members.
        members = np.arange(8 + size.classes, size.nouns)
        even = np.arange(len(members)) % size.classes
        self.noun_class: Ints = np.full(size.nouns, -1)
        self.noun_class[8 : 8 + size.classes] = np.arange(size.classes)
        self.noun_class[members] = rng.permutation(even)
        self.parent: Ints = np.full(size.nouns, -1)
        self.parent[8 : 8 + size.classes] = self.class_kind
        self.parent[members] = 8 + self.noun_class[members]
        rank = rng.permutation(size.nouns) + 1.0
        self.noun_weight: Floats = np.power(rank, -size.zipf)
        # A class name has the median weight of all nouns.
        self.noun_weight[: 8 + size.classes] = np.median(self.noun_weight)

    @cached_property
    def by_class(self) -> list[Ints]:
        """Noun concepts of each leaf class, the class's own name included."""
        return [np.flatnonzero(self.noun_class == leaf) for leaf in range(self.spec.classes)]

    def kind_of(self, noun: int) -> int:
        """Return the upper kind of a noun concept."""
        return noun if noun < 8 else int(self.class_kind[self.noun_class[noun]])

    def ancestors(self, noun: int) -> list[int]:
        """Return the hypernyms of a noun concept, nearest first."""
        found: list[int] = []
        while (noun := int(self.parent[noun])) >= 0:
            found.append(noun)
        return found

    def antonym(self, prop: int) -> int:
        """Return the opposite of a property, or -1 (the last of an odd number has none)."""
        other = prop ^ 1
        return other if other < self.spec.properties else -1

    def _name_entities(self) -> Entities:
        size, first, rng = self.spec, self.lexemes, generator(self.seed, "world-entities")
        persons = np.flatnonzero(self.class_kind == PERSON)
        institutions = np.flatnonzero(self.class_kind == INSTITUTION)
        places = np.flatnonzero(self.class_kind == PLACE)
        kinds, classes, parts = [], [], []
        taken: set[tuple[int, ...]] = set()

        def add(kind: int, leaf: int, name: tuple[int, ...]) -> None:
            if name not in taken:
                taken.add(name)
                kinds.append(kind)
                classes.append(leaf)
                parts.append(name)

        for number in range(size.people):
            # Common given names are shared; every family name belongs to one person.
            given = first.given + int(size.people * rng.random() ** 3)
            name: tuple[int, ...] = (given, first.family + number)
            if rng.random() < 0.4 and (given,) not in taken:
                name = (given,)
            add(PER, int(rng.choice(persons)), name)
        for number in range(size.places):
            leaf = int(rng.choice(places))
            noun = int(rng.choice(self.by_class[leaf]))
            called = first.place + number
            add(LOC, leaf, (called, noun) if rng.random() < 0.3 else (called,))
        for number in range(size.organisations):
            leaf = int(rng.choice(institutions))
            noun = int(rng.choice(self.by_class[leaf]))
            seat = first.place + int(rng.integers(size.places))
            named_by_seat = rng.random() < 0.25
            add(ORG, leaf, (seat if named_by_seat else first.organisation + number, noun))
        # Some family and place names are also common nouns, in every language.
        kind = self.class_kind[self.noun_class[8 + size.classes :]]
        nouns = 8 + size.classes + np.flatnonzero((kind != PLACE) & (kind != INSTITUTION))
        for lexeme in range(first.family, first.organisation):
            if rng.random() < size.ambiguous_names:
                self.namesakes[lexeme] = int(rng.choice(nouns))
        return Entities(np.array(kinds), np.array(classes), tuple(parts))

    # ------------------------------------------------------------- preferences

    def _preferences(self, shifts: dict[str, float]) -> None:
        """Draw what goes with what; rows of topics are ``domain * topics + topic``."""
        size = self.spec
        rng = generator(self.seed, "world-preferences")
        contexts = len(shifts) * size.topics
        self.topics = Choices(
            [np.arange(size.topics)] * len(shifts),
            [
                np.exp(
                    1.5 * shift * generator(self.seed, f"topics-{name}").normal(size=size.topics)
                )
                for name, shift in shifts.items()
            ],
        )
        self._events(rng, contexts, shifts)
        self._nouns(rng, contexts, shifts)
        self._modifiers(rng, contexts)

    def _lean(self, rng: np.random.Generator, rows: int, count: int, strength: float) -> Floats:
        """Return multiplicative preferences, [rows, count]."""
        return np.exp(self.spec.preference * strength * rng.normal(size=(rows, count)))

    def _topical(
        self, rng: np.random.Generator, count: int, strength: float, shifts: dict[str, float]
    ) -> Floats:
        """Return preferences of every (domain, topic), [contexts, count]; topics are shared."""
        shared = self._lean(rng, self.spec.topics, count, strength)
        leans = []
        for name, shift in shifts.items():
            own = generator(self.seed, f"shift-{name}-{count}").normal(size=count)
            leans.append(shared * np.exp(1.5 * shift * own))
        return np.concatenate(leans)

    def _events(self, rng: np.random.Generator, contexts: int, shifts: dict[str, float]) -> None:
        size = self.spec
        order = rng.permutation(size.events)
        valency = np.full(size.events, TRANSITIVE)
        cognition = max(1, round(0.06 * size.events))
        valency[:cognition] = COGNITION
        valency[cognition : cognition + round(0.3 * size.events)] = INTRANSITIVE
        valency[size.events - round(0.14 * size.events) :] = DITRANSITIVE
        self.valency: Ints = valency[order]
        weight: Floats = np.power(rng.permutation(size.events) + 1.0, -size.zipf)
        topical = self._topical(rng, size.events, 1.6, shifts) * weight
        plain = np.flatnonzero(self.valency != COGNITION)
        thinking = np.flatnonzero(self.valency == COGNITION)
        self.event = Choices([plain] * contexts, list(topical[:, plain]))
        self.cognition = Choices([thinking] * contexts, list(topical[:, thinking]))

        def role(shares: tuple[float, ...], count: int, person: bool) -> Floats:
            """Pick up to ``count`` leaf classes for every event: weights [events, classes]."""
            kind = np.array(shares)
            inside = kind[self.class_kind] / np.bincount(self.class_kind)[self.class_kind]
            lean = np.log(np.maximum(inside, 1e-12)) + rng.gumbel(size=(size.events, size.classes))
            if person:
                lean[self.valency == COGNITION] += np.where(self.class_kind == PERSON, 50, 0)
            chosen = np.zeros((size.events, size.classes))
            best = np.argsort(-lean, axis=1)[:, :count]
            degree = np.exp(size.preference * 0.7 * rng.normal(size=best.shape))
            np.put_along_axis(chosen, best, degree, axis=1)
            return np.where(inside > 0, chosen, 0) if not person else chosen

        self.agent_classes = role(_AGENT_KINDS, 2, True)
        self.patient_classes = role(_PATIENT_KINDS, 2, False)
        self.recipient_classes = role(_RECIPIENT_KINDS, 2, False)
        roles = (self.agent_classes, self.patient_classes, self.recipient_classes)
        items, weights = [], []
        for classes in roles:
            for event in range(size.events):
                leaves = np.flatnonzero(classes[event])
                fillers = np.concatenate([self.by_class[leaf] for leaf in leaves])
                lean = self.noun_weight[fillers] * self._lean(rng, 1, len(fillers), 1.2)[0]
                lean /= np.bincount(self.noun_class[fillers], lean)[self.noun_class[fillers]]
                items.append(fillers)
                weights.append(lean * classes[event][self.noun_class[fillers]])
        # Row: role * events + event.
        self.filler = Choices(items, weights)
        self.event_of_agent = self._reverse(self.agent_classes, plain, weight)
        patients = np.flatnonzero(np.isin(self.valency, (TRANSITIVE, DITRANSITIVE)))
        self.event_of_patient = self._reverse(self.patient_classes, patients, weight)

    def _reverse(self, classes: Floats, events: Ints, weight: Floats) -> Choices:
        """Return events by the class of one role's filler: any event if none prefers the class."""
        items, weights = [], []
        for leaf in range(self.spec.classes):
            mass = classes[events, leaf] * weight[events]
            wanted = mass > 0 if mass.any() else np.ones(len(events), dtype=bool)
            items.append(events[wanted])
            weights.append(np.where(mass.any(), mass, weight[events])[wanted])
        return Choices(items, weights)

    def _nouns(self, rng: np.random.Generator, contexts: int, shifts: dict[str, float]) -> None:
        size = self.spec
        topical = self._topical(rng, size.nouns, 1.6, shifts) * self.noun_weight
        # Row: class * contexts + context.
        self.noun_of_class = Choices(
            [members for members in self.by_class for _ in range(contexts)],
            [topical[context, members] for members in self.by_class for context in range(contexts)],
        )
        placelike = np.flatnonzero(
            np.isin(self.noun_class, np.flatnonzero(self.class_kind == PLACE))
        )
        self.place_of_topic = Choices([placelike] * contexts, list(topical[:, placelike]))
        entities = self.entities
        frequency = (rng.permutation(len(entities.kind)) + 1.0) ** -size.zipf
        lean = self._topical(rng, len(entities.kind), 1.6, shifts) * frequency
        # Row: entity type * contexts + context; an entity's number follows the nouns'.
        chosen = [np.flatnonzero(entities.kind == kind) for kind in range(3)]
        self.entity = Choices(
            [size.nouns + some for some in chosen for _ in range(contexts)],
            [lean[context, some] for some in chosen for context in range(contexts)],
        )

    def _modifiers(self, rng: np.random.Generator, contexts: int) -> None:
        size = self.spec
        per_class = min(size.properties, 10)
        items, weights = [], []
        pool = [
            np.sort(rng.choice(size.properties, per_class, replace=False))
            for _ in range(size.classes)
        ]
        for noun in range(size.nouns):
            some = pool[self.noun_class[noun]] if noun >= 8 else pool[noun % size.classes]
            items.append(some)
            weights.append(self._lean(rng, 1, per_class, 1.3)[0])
        self.property = Choices(items, weights)
        few = min(size.manners, 6)
        self.manner = Choices(
            [rng.choice(size.manners, few, replace=False) for _ in range(size.events)],
            list((np.arange(few) + 1.0) ** -size.zipf * self._lean(rng, size.events, few, 1.0)),
        )

    @cached_property
    def head_class(self) -> NDArray[np.int64]:
        """Leaf class of every possible head of a noun phrase (concepts, then entities)."""
        return np.concatenate([self.noun_class, self.entities.noun_class])
