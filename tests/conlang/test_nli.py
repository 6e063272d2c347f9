import random

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from xling.conlang import meaning as m
from xling.conlang.nli import LABELS, draw_pairs

from .models import SIZE, is_true, largest_numeral, random_model


@pytest.fixture(scope="module")
def pairs(generator):
    premises, hypotheses, labels = draw_pairs(generator.source, "train", "wiki", 0, 600)
    return premises.tolist(), hypotheses.tolist(), [LABELS[label] for label in labels]


def judged(generator, pairs, wanted, models=12):
    """For every pair of a label: truth of its hypothesis in models of its premise."""
    world, rng = generator.world, random.Random(wanted)
    for premise, hypothesis, label in zip(*pairs, strict=True):
        roles = sum(premise[1 + role] >= 0 for role in m.ROLES)
        if label != wanted or largest_numeral(premise, hypothesis) > SIZE or roles > 3:
            continue
        drawn = (random_model(world, rng, premise, hypothesis) for _ in range(models))
        yield [
            is_true(world, hypothesis, model) for model in drawn if is_true(world, premise, model)
        ]


def test_an_entailed_hypothesis_is_true_wherever_the_premise_is(generator, pairs):
    outcomes = list(judged(generator, pairs, "entailment"))
    assert all(all(outcome) for outcome in outcomes)
    assert sum(map(len, outcomes)) > 150


def test_a_contradicted_hypothesis_is_never_true_with_its_premise(generator, pairs):
    outcomes = list(judged(generator, pairs, "contradiction"))
    assert not any(any(outcome) for outcome in outcomes)
    assert sum(map(len, outcomes)) > 150


def test_a_neutral_hypothesis_may_be_true_or_false(generator, pairs):
    outcomes = [seen for seen in judged(generator, pairs, "neutral", models=24) if len(seen) >= 5]
    open_ones = [seen for seen in outcomes if any(seen) and not all(seen)]
    assert len(outcomes) > 50
    # A rare combination may not turn up in a few random models.
    assert len(open_ones) > 0.7 * len(outcomes)


def accuracy(train, test):
    vectorizer = CountVectorizer(tokenizer=str.split, lowercase=False, token_pattern=None)
    model = LogisticRegression(max_iter=300, C=0.3)
    model.fit(vectorizer.fit_transform(train[0]), train[1])
    return model.score(vectorizer.transform(test[0]), test[1])


def changed_words(premise, hypothesis):
    """What a reader of both sees: the words of one side only, and how many they are."""
    one, other = set(premise.split()), set(hypothesis.split())
    more, less = one - other, other - one
    features = [f"more:{word}" for word in more] + [f"less:{word}" for word in less]
    return " ".join([*features, f"counts:{min(len(more), 3)}:{min(len(less), 3)}"])


@pytest.mark.slow
def test_only_both_sentences_together_tell_the_label(generator):
    base = generator.languages["aa"]

    def part(split, count):
        *rows, labels = draw_pairs(generator.source, split, "wiki", 0, count)
        sides = [
            [" ".join(word.form for word in base.render(row, style=-1)) for row in side.tolist()]
            for side in rows
        ]
        return *sides, labels

    train, test = part("train", 3000), part("test", 1500)
    alone = accuracy((train[1], train[2]), (test[1], test[2]))
    together = [
        ([changed_words(*pair) for pair in zip(*split[:2], strict=True)], split[2])
        for split in (train, test)
    ]
    assert abs(alone - 1 / 3) < 0.05
    assert accuracy(*together) > 0.6


def test_labels_are_balanced_and_hypotheses_distinct(pairs):
    _, hypotheses, labels = pairs
    assert {label: labels.count(label) for label in LABELS} == dict.fromkeys(LABELS, 200)
    assert len(set(map(tuple, hypotheses))) == len(hypotheses)


def test_premises_and_hypotheses_keep_to_their_split(generator):
    owners = generator.source.owners
    for split in ("train", "test"):
        premises, hypotheses, _ = draw_pairs(generator.source, split, "wiki", 1, 120)
        assert owners.owned(hypotheses, split).all()
        for other in {"train", "dev", "test", "parallel"} - {split}:
            assert not owners.owned(premises, other).any()
