"""Steps from one meaning to another whose logical relation is known.

*Stronger* and *weaker* variants of a clause's positive content are made by one small change
each (Natural Logic's monotone steps: MacCartney and Manning 2007); negation turns their
direction round. The tests state what the meanings mean
(`tests/conlang/models.py`) and judge the labels by it.
"""

from collections.abc import Iterator

import numpy as np

from xling.conlang import meaning as m
from xling.conlang.world import LOC, NUMERALS, PER, World

Clause = list[int]

_EXISTENTIAL = (m.THE, m.THE_MANY, m.ONE, m.SEVERAL, m.SOME)
_WEAKER_QUANTIFIERS = {
    m.THE: (m.ONE, m.SOME),
    m.THE_MANY: (m.SEVERAL, m.SOME),
    m.SEVERAL: (m.SOME,),
    m.ALL: (m.SOME,),
}
_STRONGER_QUANTIFIERS = {
    m.ONE: (m.THE,),
    m.SOME: (m.THE, m.SEVERAL, m.NUMBER),
    m.SEVERAL: (m.THE_MANY, m.NUMBER, m.NUMBER + 1),
}


class Steps:
    """Proposes changed clauses.

    Args:
        world: Concepts and what goes with what.
        rng: Source of randomness.
    """

    def __init__(self, world: World, rng: np.random.Generator) -> None:
        self.world, self._rng = world, rng
        self._events, self._nouns = world.spec.events, world.spec.nouns
        self._kinds_from = world.spec.events + world.spec.properties

    def pick(self, options: list[Clause]) -> Clause | None:
        """Return one of some clauses at random, None if there is none."""
        return options[int(len(options) * self._rng.random())] if options else None

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return bool(self._rng.random() < probability)

    # ------------------------------------------------------------- polarity

    @staticmethod
    def is_negative(clause: Clause) -> bool:
        """Tell whether a clause denies its content."""
        return clause[m.NEGATED] > 0 or clause[m.AGENT + m.QUANTIFIER] == m.NO

    def content(self, clause: Clause) -> Clause:
        """Return the positive content that a negative clause denies."""
        changed = list(clause)
        changed[m.NEGATED] = 0
        if changed[m.AGENT + m.QUANTIFIER] == m.NO:
            changed[m.AGENT + m.QUANTIFIER] = m.ONE
        return changed

    def denial(self, clause: Clause) -> Clause:
        """Return a negative clause that is never true together with a positive one."""
        changed = list(clause)
        quantifier = changed[m.AGENT + m.QUANTIFIER]
        plain = quantifier in (m.BARE, m.THE, m.THE_MANY, m.ONE)
        if plain and (quantifier == m.BARE or self.chance(0.8)):
            changed[m.NEGATED] = 1
        else:
            changed[m.AGENT + m.QUANTIFIER] = m.NO
        return changed

    # ------------------------------------------------- stronger and weaker

    def stronger(self, clause: Clause, counts: bool = True) -> list[Clause]:
        """Return positive clauses that entail a positive clause by one step.

        Args:
            clause: A positive clause.
            counts: Whether to change quantifiers, too. Without, a step back is never entailed and
                neither is a denial of the result a denial of ``clause``.
        """
        return list(self._stronger(clause, counts))

    def _stronger(self, clause: Clause, counts: bool) -> Iterator[Clause]:
        world, predicate = self.world, clause[m.PREDICATE]
        verbal = predicate < self._events
        if predicate >= self._kinds_from:
            for noun in self._members(predicate - self._kinds_from):
                yield self._with(clause, m.PREDICATE, self._kinds_from + noun)
        for role in self._noun_roles(clause):
            head, quantifier, prop, owner = clause[role : role + 4]
            if quantifier in _EXISTENTIAL or quantifier >= m.NUMBER:
                if prop < 0 and verbal:
                    new = int(world.property.draw(np.array([head]), self._rng.random(1))[0])
                    yield self._with(clause, role + m.PROPERTY, new)
                if owner < 0 and quantifier in (m.THE, m.THE_MANY) and role != m.LOCATION:
                    yield self._with(clause, role + m.POSSESSOR, self._entity(PER))
                for noun in self._members(head):
                    yield self._with(clause, role + m.HEAD, noun)
            if counts:
                options = _STRONGER_QUANTIFIERS.get(quantifier, ())
                if m.NUMBER <= quantifier < m.NUMBER + len(NUMERALS) - 1:
                    options = (quantifier + 1,)
                for option in options:
                    yield self._with(clause, role + m.QUANTIFIER, option)
        if verbal and clause[m.MANNER] < 0:
            manner = world.manner.draw(np.array([predicate]), self._rng.random(1))
            yield self._with(clause, m.MANNER, int(manner[0]))
        if verbal and clause[m.LOCATION] < 0:
            changed = self._with(clause, m.LOCATION, self._entity(LOC))
            changed[m.LOCATION + m.QUANTIFIER] = m.BARE
            yield changed

    def weaker(self, clause: Clause, counts: bool = True) -> list[Clause]:
        """Return positive clauses that a positive clause entails by one step; see `stronger`."""
        return list(self._weaker(clause, counts))

    def _weaker(self, clause: Clause, counts: bool) -> Iterator[Clause]:
        world, predicate = self.world, clause[m.PREDICATE]
        if predicate >= self._kinds_from:
            for noun in world.ancestors(predicate - self._kinds_from):
                yield self._with(clause, m.PREDICATE, self._kinds_from + noun)
        for role in self._noun_roles(clause):
            head, quantifier, prop, owner = clause[role : role + 4]
            if quantifier != m.ALL:
                if prop >= 0:
                    yield self._with(clause, role + m.PROPERTY, -1)
                if owner >= 0:
                    yield self._with(clause, role + m.POSSESSOR, -1)
                for noun in world.ancestors(head):
                    yield self._with(clause, role + m.HEAD, noun)
            if counts:
                options = _WEAKER_QUANTIFIERS.get(quantifier, ())
                if quantifier >= m.NUMBER:
                    options = (m.SOME, m.SEVERAL, *range(m.NUMBER, quantifier))
                for option in options:
                    changed = self._with(clause, role + m.QUANTIFIER, option)
                    if option not in (m.THE, m.THE_MANY):
                        changed[role + m.POSSESSOR] = -1
                    yield changed
        if clause[m.MANNER] >= 0:
            yield self._with(clause, m.MANNER, -1)
        if clause[m.LOCATION] >= 0:
            changed = list(clause)
            changed[m.LOCATION : m.LOCATION + 4] = [-1] * 4
            yield changed

    # ---------------------------------------------------------- other things

    def opposite(self, clause: Clause) -> list[Clause]:
        """Return positive copular clauses that exclude a positive one: antonym, other class."""
        predicate, world = clause[m.PREDICATE], self.world
        subject = clause[m.AGENT + m.QUANTIFIER]
        if predicate < self._events or subject not in (m.BARE, m.ALL):
            return []
        if predicate < self._kinds_from:
            antonym = world.antonym(predicate - self._events)
            return [self._with(clause, m.PREDICATE, self._events + antonym)] if antonym >= 0 else []
        noun = predicate - self._kinds_from
        other = int(self._nouns * self._rng.random())
        if world.kind_of(other) == world.kind_of(noun):
            return []
        return [self._with(clause, m.PREDICATE, self._kinds_from + other)]

    def unrelated(self, clause: Clause) -> list[Clause]:
        """Return clauses that say something independent: other event, other or swapped roles."""
        found = [self._other_predicate(clause)]
        other = self._other_head(clause[m.AGENT + m.HEAD])
        if other >= 0:
            found.append(self._with(clause, m.AGENT + m.HEAD, other))
        found.append(self._swapped(clause))
        return [changed for changed in found if changed is not None]

    def _other_predicate(self, clause: Clause) -> Clause | None:
        world, predicate = self.world, clause[m.PREDICATE]
        leaf = int(world.head_class[clause[m.AGENT + m.HEAD]])
        for _ in range(20):
            if predicate < self._events:
                # An event that fits the agent comes from the same corner of the world.
                row = np.array([max(leaf, 0)])
                other = int(world.event_of_agent.draw(row, self._rng.random(1))[0])
                fits = other != predicate and world.valency[other] == world.valency[predicate]
            elif predicate < self._kinds_from:
                row = np.array([8 + max(leaf, 0)])
                prop = int(world.property.draw(row, self._rng.random(1))[0])
                other = self._events + prop
                fits = prop not in (predicate - self._events, (predicate - self._events) ^ 1)
            else:
                noun = predicate - self._kinds_from
                if world.parent[noun] < 8:
                    return None
                other = self._kinds_from + int(
                    self._rng.choice(world.by_class[world.noun_class[noun]])
                )
                fits = other != predicate and world.parent[other - self._kinds_from] >= 8
            if fits:
                return self._with(clause, m.PREDICATE, other)
        events = (
            np.flatnonzero(world.valency == world.valency[predicate])
            if (predicate < self._events)
            else np.array([], dtype=np.int64)
        )
        events = events[events != predicate]
        return self._with(clause, m.PREDICATE, int(events[0])) if len(events) else None

    def _other_head(self, head: int) -> int:
        """Return a head that may or may not be there whatever holds of ``head``, or -1."""
        world = self.world
        if head >= self._nouns:
            kind = int(world.entities.kind[head - self._nouns])
            other = self._entity(kind)
            return other if other != head else -1
        if world.parent[head] < 8:
            return -1
        members = world.by_class[world.noun_class[head]]
        other = int(self._rng.choice(members))
        return other if other != head and world.parent[other] >= 8 else -1

    def _swapped(self, clause: Clause) -> Clause | None:
        agent, patient = clause[m.AGENT : m.AGENT + 4], clause[m.PATIENT : m.PATIENT + 4]
        heads = (agent[m.HEAD], patient[m.HEAD])
        counted = (m.BARE, *_EXISTENTIAL)
        if (
            patient[m.HEAD] < 0
            or heads[0] == heads[1]
            or not {agent[m.QUANTIFIER], patient[m.QUANTIFIER]} <= set(counted)
            or not self.world.agent_classes[clause[m.PREDICATE], self.world.head_class[heads[1]]]
            or self._related(*heads)
        ):
            return None
        changed = list(clause)
        changed[m.AGENT : m.AGENT + 4], changed[m.PATIENT : m.PATIENT + 4] = patient, agent
        return changed

    def _related(self, first: int, second: int) -> bool:
        if max(first, second) >= self._nouns:
            return False
        return second in self.world.ancestors(first) or first in self.world.ancestors(second)

    # --------------------------------------------------------------- helpers

    @staticmethod
    def _with(clause: Clause, column: int, value: int) -> Clause:
        changed = list(clause)
        changed[column] = value
        return changed

    def _noun_roles(self, clause: Clause) -> Iterator[int]:
        return (role for role in m.ROLES if 0 <= clause[role + m.HEAD] < self._nouns)

    def _members(self, noun: int) -> list[int]:
        """Return up to two hyponyms of a class or kind."""
        if noun >= 8 + self.world.spec.classes:
            return []
        members = np.flatnonzero(self.world.parent == noun)
        return [int(one) for one in self._rng.choice(members, min(2, len(members)), replace=False)]

    def _entity(self, kind: int) -> int:
        some = np.flatnonzero(self.world.entities.kind == kind)
        return self._nouns + int(some[int(len(some) * self._rng.random())])
