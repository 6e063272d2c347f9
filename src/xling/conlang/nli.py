"""Natural language inference: pairs of meanings with their label.

The hypothesis is drawn first, from one distribution whatever the label; only the premise depends
on the label. So the hypothesis alone says nothing about it, by construction.
"""

import numpy as np
from numpy.typing import NDArray

from xling.conlang import meaning as m
from xling.conlang.inference import Clause, Steps
from xling.conlang.meaning import Meanings, identifiers
from xling.conlang.ownership import EVALUATION, Source
from xling.conlang.world import World
from xling.errors import XlingError
from xling.randomness import generator

LABELS = ("entailment", "neutral", "contradiction")
ENTAILMENT, NEUTRAL, CONTRADICTION = range(3)

_CONJOINED = 0.25
_DENIED = 7  # of 16
_ROUNDS = 200


def draw_pairs(
    source: Source, split: str, domain: str, block: int, count: int
) -> tuple[Meanings, Meanings, list[int]]:
    """Draw premises, hypotheses (both [count, WIDTH]) and their labels, as many of each.

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
        # A premise that stays another part's by itself becomes free with something joined to it.
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
    # Nearly half are denied, or a negative premise alone would speak for contradiction.
    denied = calm & (identifiers(rows) % np.uint64(16) < _DENIED)
    rows[denied, m.FIRST + m.NEGATED] = 1
    return rows, simple & (calm | (rows[:, m.FIRST + m.NEGATED] == 0))


def premise(
    steps: Steps, hypothesis: list[int], aside: list[int], label: int, conjoined: float
) -> list[int] | None:
    """Return a premise that stands in a relation to a hypothesis, None if the draws give none.

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
