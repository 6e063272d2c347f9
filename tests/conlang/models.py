"""The oracle of inference: truth conditions of meanings, and random models to judge labels by.

A `Model` is a small state of affairs. Negation has the widest scope, then the roles'
quantifiers in the order agent, patient, recipient, location, then "there is such an event".
Definite and indefinite fillers are existential; numerals mean "at least"; *all* presupposes that
there is one; plurals without a numeral mean at least two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product

from xling.conlang import meaning as m
from xling.conlang.world import NUMERALS, World

_AT_LEAST = {m.THE: 1, m.THE_MANY: 2, m.ONE: 1, m.SEVERAL: 2, m.SOME: 1}


@dataclass(frozen=True)
class Happening:
    """One event of a model; -1 where it has no such participant or manner."""

    event: int
    tense: int
    agent: int
    patient: int = -1
    recipient: int = -1
    location: int = -1
    manner: int = -1


@dataclass
class Model:
    """A state of affairs over individuals ``0 .. len(nouns) - 1``.

    Attributes:
        nouns: For each individual the noun concepts it falls under (hypernyms included).
        properties: For each individual its lasting properties.
        owner: For each individual the entity that owns it, or -1.
        bearer: For each entity (head number) the individual it names.
        states: (individual, predicate, tense) facts of copular clauses; kinds include hypernyms.
        happenings: The events.
    """

    nouns: list[set[int]]
    properties: list[set[int]]
    owner: list[int]
    bearer: dict[int, int]
    states: set[tuple[int, int, int]] = field(default_factory=set)
    happenings: list[Happening] = field(default_factory=list)


def is_true(world: World, row: Sequence[int], model: Model) -> bool:
    """Tell whether a meaning holds in a model.

    Args:
        world: The world (for the number of nouns and events).
        row: A meaning, WIDTH integers, of one clause or of two that are both asserted.
        model: The state of affairs.

    Raises:
        ValueError: A link whose second clause is not asserted by itself.
    """
    first = _clause_is_true(world, row[m.FIRST : m.SECOND], model)
    if row[m.LINK] == m.ALONE:
        return first
    if row[m.LINK] in (m.AND, m.BUT, m.BECAUSE):
        return first and _clause_is_true(world, row[m.SECOND :], model)
    raise ValueError(f"link {row[m.LINK]} has no truth conditions here")


def _clause_is_true(world: World, clause: Sequence[int], model: Model) -> bool:
    predicate, tense, negated, manner = clause[:4]

    facts = {
        (happening.agent, happening.patient, happening.recipient, happening.location)
        for happening in model.happenings
        if (happening.event, happening.tense) == (predicate, tense)
        and manner in (-1, happening.manner)
    }
    # A participant that the clause does not mention may be anybody.
    silent = [number for number, role in enumerate(m.ROLES) if clause[role] < 0]
    known = {_without(fact, silent) for fact in facts}

    def happens(participants: tuple[int, ...]) -> bool:
        if predicate >= world.spec.events:
            return (participants[0], predicate, tense) in model.states
        return participants in known

    return _quantify(world, clause, model, m.ROLES, (), happens) != bool(negated)


def _without(fact: tuple[int, ...], silent: Sequence[int]) -> tuple[int, ...]:
    return tuple(-1 if number in silent else one for number, one in enumerate(fact))


def _quantify(
    world: World,
    clause: Sequence[int],
    model: Model,
    roles: tuple[int, ...],
    bound: tuple[int, ...],
    happens: Callable[[tuple[int, ...]], bool],
) -> bool:
    if not roles:
        return happens(bound)
    filler, rest = clause[roles[0] : roles[0] + 4], roles[1:]
    head, quantifier = filler[m.HEAD], filler[m.QUANTIFIER]

    def holds(individual: int) -> bool:
        return _quantify(world, clause, model, rest, (*bound, individual), happens)

    if head < 0:
        return holds(-1)
    if head >= world.spec.nouns:
        return holds(model.bearer[head])
    candidates = [one for one in range(len(model.nouns)) if _fits(filler, one, model)]
    true = sum(holds(one) for one in candidates)
    if quantifier == m.ALL:
        return bool(candidates) and true == len(candidates)
    if quantifier == m.NO:
        return true == 0
    if quantifier >= m.NUMBER:
        return true >= NUMERALS[quantifier - m.NUMBER]
    return true >= _AT_LEAST[quantifier]


def _fits(filler: Sequence[int], individual: int, model: Model) -> bool:
    head, _, prop, owner = filler
    return (
        head in model.nouns[individual]
        and (prop < 0 or prop in model.properties[individual])
        and (owner < 0 or model.owner[individual] == owner)
    )


SIZE = 4


def clauses(*rows):
    for row in rows:
        yield row[m.FIRST : m.SECOND]
        if row[m.LINK] != m.ALONE:
            yield row[m.SECOND :]


def largest_numeral(*rows):
    return max(
        clause[role + m.QUANTIFIER] - m.NUMBER + 2 for clause in clauses(*rows) for role in m.ROLES
    )


def random_model(world, rng, *rows):
    """Draw a model of SIZE individuals and the entities mentioned, dense or sparse."""
    nouns_end, events_end = world.spec.nouns, world.spec.events
    fillers = [c[role : role + 4] for c in clauses(*rows) for role in m.ROLES if c[role] >= 0]
    nouns = sorted({filler[0] for filler in fillers if filler[0] < nouns_end})
    entities = sorted(
        {filler[0] for filler in fillers if filler[0] >= nouns_end}
        | {filler[3] for filler in fillers if filler[3] >= 0}
    )
    props = sorted({filler[2] for filler in fillers if filler[2] >= 0})
    density = rng.choice([0.15, 0.5, 0.85])
    total = SIZE + len(entities)

    def falls_under(noun):
        """The noun, by chance others of its class, and all they imply."""
        leaf = world.noun_class[noun]
        kin = [n for n in nouns if world.noun_class[n] == leaf and leaf >= 0]
        some = {noun} | {other for other in kin if rng.random() < density}
        return some | {ancestor for one in some for ancestor in world.ancestors(one)}

    model = Model(
        nouns=[falls_under(rng.choice(nouns)) if nouns else set() for _ in range(SIZE)]
        + [{8 + int(world.head_class[entity])} for entity in entities],
        properties=[{p for p in props if rng.random() < density} for _ in range(total)],
        owner=[rng.choice([*entities, -1]) for _ in range(total)],
        bearer={entity: SIZE + number for number, entity in enumerate(entities)},
    )
    for clause in clauses(*rows):
        predicate, tense = clause[m.PREDICATE], clause[m.TENSE]
        if predicate >= events_end:
            add_states(world, rng, model, predicate, tense, density)
            continue
        ranges = [
            range(total) if any(c[role] >= 0 for c in clauses(*rows)) else (-1,) for role in m.ROLES
        ]
        manners = [-1, *sorted({c[m.MANNER] for c in clauses(*rows)})]
        model.happenings += [
            Happening(predicate, tense, *participants, rng.choice(manners))
            for participants in product(*ranges)
            if rng.random() < density
        ]
    return model


def add_states(world, rng, model, predicate, tense, density):
    """Say who is so: at most one of two antonyms, nouns of one kind only."""
    first_kind = world.spec.events + world.spec.properties
    for one in range(len(model.nouns)):
        if predicate >= first_kind:
            noun = predicate - first_kind
            others = {s[1] - first_kind for s in model.states if s[0] == one and s[2] == tense}
            barred = any(world.kind_of(n) != world.kind_of(noun) for n in others if n >= 0)
            if not barred and rng.random() < density:
                for kind in (noun, *world.ancestors(noun)):
                    model.states.add((one, first_kind + kind, tense))
            continue
        antonym = world.antonym(predicate - world.spec.events)
        excluded = antonym >= 0 and (one, world.spec.events + antonym, tense) in model.states
        if not excluded and rng.random() < density:
            model.states.add((one, predicate, tense))
