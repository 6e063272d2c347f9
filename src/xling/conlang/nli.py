"""Natural language inference: pairs of meanings with their label.

The hypothesis is drawn first, from one distribution whatever the label; only the premise depends
on the label. So the hypothesis alone says nothing about the label, by construction.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from xling.conlang import meaning as m
from xling.conlang.meaning import EVALUATION, Meanings, Source, identifiers
from xling.conlang.world import LOC, NUMERALS, PER, World
from xling.errors import XlingError
from xling.randomness import generator

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
    """Proposes changed clauses whose logical relation to a clause is known.

    *Stronger* and *weaker* variants of a clause's positive content are made by one small change
    each (Natural Logic's monotone steps: MacCartney and Manning 2007); negation reverses their
    direction. The tests define the truth conditions of meanings (`tests/conlang/models.py`) and
    judge the labels by them.

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
            counts: Whether to change quantifiers, too. Without, ``clause`` never entails the
                result, and denying the result never denies ``clause``.
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
        """Return a head that is independent of ``head``, or -1."""
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


LABELS = ("entailment", "neutral", "contradiction")
ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)

_CONJOINED = 0.25
_DENIED = 7  # of 16
_ROUNDS = 200


def draw_pairs(
    source: Source, split: str, domain: str, block: int, count: int
) -> tuple[Meanings, Meanings, list[int]]:
    """Draw premises, hypotheses (both [count, WIDTH]) and labels, equally many of each label.

    Hypotheses belong to ``split``; premises belong to no other part of the evaluation.
    """
    world = source.world
    hypotheses, _ = source.draw(
        split, domain, "nli", block, count, distinct=True, prepare=lambda rows: plain(world, rows)
    )
    asides, _ = source.draw(
        split, domain, "aside", block, count, prepare=lambda rows: plain(world, rows)
    )
    rng = generator(source.spec.seed, f"nli-{split}", block)
    labels = rng.permutation(np.arange(count) % 3)
    steps = Steps(world, rng)
    premises = np.full_like(hypotheses, -1)
    pending = np.arange(count)
    for attempt in range(_ROUNDS):
        # A premise that is always another part's becomes free once a clause is joined to it.
        conjoined = _CONJOINED if attempt < 3 else 1.0
        others = asides[rng.integers(count, size=len(pending))].tolist()
        found = np.ones(len(pending), dtype=bool)
        for place, row in enumerate(pending.tolist()):
            goal = hypotheses[row].tolist()
            drawn = premise(steps, goal, others[place], int(labels[row]), conjoined)
            found[place] = drawn is not None
            premises[row] = -1 if drawn is None else drawn
        for owner in EVALUATION:
            if owner != split:
                found &= ~source.owners.owned(premises[pending], owner)
        pending = pending[~found]
        if not len(pending):
            return premises, hypotheses, labels.tolist()
    raise XlingError(
        "spec: world: too small for nli: some hypotheses have no premise; "
        "make world.nouns, world.events or world.people larger"
    )


def plain(world: World, rows: Meanings) -> tuple[Meanings, NDArray[np.bool_]]:
    """Keep the first clauses; say which have simple scope.

    Returns:
        The rows cut to one clause, and which of them have no *all* or *no* outside the agent,
        no counted agent under negation, and no clause as complement.
    """
    rows = rows.copy()
    complement = rows[:, m.LINK] == m.COMPLEMENT
    rows[:, m.LINK] = m.ALONE
    rows[:, m.SECOND :] = -1
    simple = ~complement
    for role in (m.PATIENT, m.RECIPIENT, m.LOCATION):
        quantifier = rows[:, m.FIRST + role + m.QUANTIFIER]
        simple &= ~np.isin(quantifier, (m.ALL, m.NO))
    agent = rows[:, m.FIRST + m.AGENT + m.QUANTIFIER]
    calm = np.isin(agent, (m.BARE, m.THE, m.THE_MANY, m.ONE))
    # Nearly half are denied; otherwise a negative premise alone would suggest contradiction.
    denied = calm & (identifiers(rows) % np.uint64(16) < _DENIED)
    rows[denied, m.FIRST + m.NEGATED] = 1
    return rows, simple & (calm | (rows[:, m.FIRST + m.NEGATED] == 0))


def premise(
    steps: Steps, hypothesis: list[int], aside: list[int], label: int, conjoined: float
) -> list[int] | None:
    """Return a premise in the given relation to a hypothesis; None if the draws give none.

    Args:
        steps: Proposes changes.
        hypothesis: Meaning of one clause with simple scope.
        aside: Meaning that may be joined to the premise, if it is about another event.
        label: Index into LABELS.
        conjoined: Probability of joining the aside.
    """
    goal = hypothesis[m.FIRST : m.SECOND]
    clause = (_entailing, _neutral, _contradicting)[label](steps, goal)
    if clause is None:
        return None
    row = [m.ALONE, *clause, *[-1] * m.CLAUSE_WIDTH]
    other = aside[m.FIRST : m.SECOND]
    predicates = (goal[m.PREDICATE], clause[m.PREDICATE])
    apart = other[m.PREDICATE] < steps.world.spec.events and other[m.PREDICATE] not in predicates
    if apart and (clause == goal or steps.chance(conjoined)):
        link = m.AND if steps.chance(0.7) else m.BUT
        pair = (clause, other) if steps.chance(0.5) else (other, clause)
        row = [link, *pair[0], *pair[1]]
    return row


def _chain(steps: Steps, clause: Clause, way: str, counts: bool, least: int = 1) -> Clause | None:
    """Take ``least`` to two steps; None if the first is impossible."""
    for number in range(2):
        if number >= least and steps.chance(0.6):
            break
        options = steps.stronger(clause, counts) if way == "up" else steps.weaker(clause, counts)
        changed = steps.pick(options)
        if changed is None:
            return None if number < least else clause
        clause = changed
    return clause


def _entailing(steps: Steps, goal: Clause) -> Clause:
    if not steps.is_negative(goal):
        return _chain(steps, goal, "up", counts=True) or goal
    weaker = _chain(steps, steps.content(goal), "down", counts=True)
    opposite = steps.pick(steps.opposite(steps.content(goal)))
    if opposite is not None and steps.chance(0.5):
        return opposite
    return goal if weaker is None else _denied_like(steps, weaker, goal)


def _contradicting(steps: Steps, goal: Clause) -> Clause:
    if steps.is_negative(goal):
        positive = steps.content(goal)
        return _chain(steps, positive, "up", counts=True, least=0) or positive
    opposite = steps.pick(steps.opposite(goal))
    if opposite is not None and steps.chance(0.5):
        return opposite
    return steps.denial(_chain(steps, goal, "down", counts=True, least=0) or goal)


def _neutral(steps: Steps, goal: Clause) -> Clause | None:
    negative = steps.is_negative(goal)
    content = steps.content(goal) if negative else goal
    if steps.chance(0.6):
        # Says less than the hypothesis, or denies more than it says.
        denied = steps.chance(0.4)
        changed = _chain(steps, content, "up" if denied else "down", counts=False)
        if changed is not None:
            return _denied_like(steps, changed, goal) if denied else changed
    changed = steps.pick(steps.unrelated(content))
    if changed is None:
        return None
    return steps.denial(changed) if steps.chance(0.8 if negative else 0.3) else changed


def _denied_like(steps: Steps, clause: Clause, goal: Clause) -> Clause:
    """Deny a clause the way a negative goal does, or freely."""
    if not steps.is_negative(goal):
        return steps.denial(clause)
    changed = list(clause)
    if goal[m.NEGATED] > 0 and clause[m.AGENT + m.QUANTIFIER] in (
        m.BARE, m.THE, m.THE_MANY, m.ONE
    ):  # fmt: skip
        changed[m.NEGATED] = 1
        return changed
    changed[m.AGENT + m.QUANTIFIER] = m.NO
    return changed
