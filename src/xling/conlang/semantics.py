"""Truth conditions of meanings: what the labels of inference are judged by.

A `Model` is a small state of affairs. Negation has the widest scope, then the roles'
quantifiers in the order agent, patient, recipient, location, then "there is such an event".
Definite and indefinite fillers are existential; numerals mean "at least"; *all* presupposes that
there is one; plurals without a numeral mean at least two.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
