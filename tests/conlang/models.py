"""Random small states of affairs about what two meanings mention (the oracle of inference)."""

from itertools import product

from xling.conlang import meaning as m
from xling.conlang.semantics import Happening, Model

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
