import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2

from xling.data.iob2 import stray_insides
from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.transfer.spans import (
    entity_types,
    f1,
    micro_f1,
    precision,
    recall,
    repair,
    span_counts,
    spans,
)

TYPES = ("LOC", "ORG", "PER")
TAGS = ["O", *(f"{place}-{kind}" for kind in TYPES for place in "BI")]
sentences = st.lists(st.lists(st.tuples(*[st.sampled_from(TAGS)] * 2), max_size=8), max_size=6)


def repaired_by_rewriting(tags):
    """The paper's two rules as rewriting: B-X for a lone I-X, then back from each span's end."""
    new = list(tags)
    for place, tag in enumerate(new):
        if tag[0] == "I" and (place == 0 or new[place - 1] == "O"):
            new[place] = "B" + tag[1:]
    for place in range(len(new) - 1, 0, -1):
        if new[place][0] == "I":
            new[place - 1] = new[place - 1][:2] + new[place][2:]
    return new


def chunks_of_conlleval(tags):
    """Conlleval's rules: where a chunk ends and begins, from each tag and the one before."""
    found, begun = set(), None
    for place, tag in enumerate([*tags, "O"]):
        before = tags[place - 1] if place else "O"
        changes = before[1:] != tag[1:]
        if before != "O" and (tag[0] in "BO" or changes):
            found.add((begun, place, before[2:]))
        if tag[0] == "B" or (tag[0] == "I" and (before == "O" or changes)):
            begun = place
    return found


@given(st.lists(st.sampled_from(TAGS)))
@settings(max_examples=300)
def test_repair_is_the_papers_and_gives_valid_tags(tags):
    new = repair(tags)
    assert new == repaired_by_rewriting(tags)
    assert not stray_insides(new)
    assert repair(new) == new
    assert [tag == "O" for tag in new] == [tag == "O" for tag in tags]
    if not stray_insides(tags):
        assert new == tags
    assert spans(tags) == spans(new) == chunks_of_conlleval(new)


@pytest.mark.parametrize(
    ("tags", "repaired"),
    [
        ("I-PER", "B-PER"),
        ("O I-PER I-PER", "O B-PER I-PER"),
        ("B-PER I-ORG I-LOC", "B-LOC I-LOC I-LOC"),
        ("B-PER B-ORG I-LOC", "B-PER B-LOC I-LOC"),
        ("I-PER I-ORG O I-ORG", "B-ORG I-ORG O B-ORG"),
        ("", ""),
    ],
)
def test_repair_of_known_cases(tags, repaired):
    assert repair(tags.split()) == repaired.split()


def assert_equals_seqeval(gold, predicted):
    repaired = list(map(repair, gold)), list(map(repair, predicted))
    assert_counts_give_seqevals(span_counts(gold, predicted, TYPES), *repaired)
    as_they_are = span_counts(gold, predicted, TYPES, repaired=False)
    assert_counts_give_seqevals(as_they_are, gold, predicted)


def assert_counts_give_seqevals(counts, truth, guess):
    totals = counts.sum(axis=0)
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    micro = totals.sum(axis=0)
    assert precision(micro) == pytest.approx(precision_score(truth, guess, **strict))
    assert recall(micro) == pytest.approx(recall_score(truth, guess, **strict))
    assert micro_f1(totals) == pytest.approx(f1_score(truth, guess, **strict))
    kinds = [place for place, kind in enumerate(TYPES) if totals[place, 1:].any()]
    if kinds:
        per_type = f1_score(truth, guess, average=None, **strict)
        np.testing.assert_allclose(f1(totals)[kinds], per_type)


@given(sentences)
@settings(max_examples=200, deadline=None)
def test_scores_equal_seqeval_in_strict_mode(pairs):
    gold, predicted = ([[pair[side] for pair in one] for one in pairs] for side in (0, 1))
    if any(tag != "O" for one in gold + predicted for tag in one):
        assert_equals_seqeval(gold, predicted)


def test_counts_equal_sets_of_conlleval_chunks_on_thousands_of_sentences():
    random = np.random.default_rng(0)
    lengths = random.integers(0, 12, size=4000)
    gold = [random.choice(TAGS, size).tolist() for size in lengths]
    noise = [random.random(size) < 0.3 for size in lengths]
    predicted = [
        np.where(flip, random.choice(TAGS, len(flip)), tags).tolist()
        for flip, tags in zip(noise, gold, strict=True)
    ]
    counts = span_counts(gold, predicted, TYPES)
    assert counts[..., 0].sum() > 500
    for number, (right, guess) in enumerate(zip(gold, predicted, strict=True)):
        truth, found = (chunks_of_conlleval(repaired_by_rewriting(one)) for one in (right, guess))
        for place, kind in enumerate(TYPES):
            a, b = ({span for span in one if span[2] == kind} for one in (truth, found))
            assert counts[number, place].tolist() == [len(a & b), len(b), len(a)]


@pytest.mark.slow  # drawn tags are scored in the test above
@pytest.mark.parametrize("language", ["en", "fr", "zh"])
def test_scores_equal_seqeval_on_real_tags_with_noise(real_data, language):
    gold = [tags for _, tags in DataFolder(real_data).ner(language, "test")][:1500]
    random = np.random.default_rng(1)
    predicted = [
        [str(random.choice(TAGS)) if random.random() < 0.1 else tag for tag in tags]
        for tags in gold
    ]
    assert entity_types(gold) == TYPES
    assert_equals_seqeval(gold, predicted)


def test_a_type_unseen_in_training_is_missed_not_dropped():
    gold, predicted = [["B-LAW", "O", "B-PER"]], [["B-PER", "O", "B-PER"]]
    totals = span_counts(gold, predicted, entity_types(gold, predicted)).sum(axis=0)
    assert totals.tolist() == [[0, 0, 1], [1, 2, 1]]
    assert micro_f1(totals) == 0.5


def test_nothing_to_find_scores_zero_and_an_empty_sentence_counts_nothing():
    counts = span_counts([[], ["O"]], [[], ["O"]], ("PER",))
    assert counts.tolist() == [[[0, 0, 0]]] * 2
    assert micro_f1(counts.sum(axis=0)) == 0
    assert span_counts([], [], TYPES).shape == (0, 3, 3)


def test_bad_input_is_refused():
    with pytest.raises(XlingError, match="found 1 sentences, expected 2"):
        span_counts([["O"], ["O"]], [["O"]], TYPES)
    with pytest.raises(XlingError, match="sentence 2 has 1 tags, expected 2"):
        span_counts([["O"], ["O", "O"]], [["O"], ["O"]], TYPES)
    with pytest.raises(XlingError, match="found tag 'B-LAW', expected O, B-LOC, I-LOC"):
        span_counts([["B-LAW"]], [["O"]], TYPES)
    with pytest.raises(XlingError, match="found tag 'PER'"):
        spans(["PER"])
