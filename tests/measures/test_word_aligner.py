from collections import Counter
from itertools import product
from math import prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.conlang.generate import DataGenerator, Job
from xling.conlang.spec import ConlangSpec
from xling.errors import XlingError
from xling.measures.word_aligner import WordAligner, _Sampler
from xling.measures.word_cells import lay_out, number_words
from xling.measures.word_links import align_words, alignment_error_rate

NULL, TRANSLATION, JUMP, FERTILITY, MOST = 0.2, 0.0001, 0.5, 0.5, 8


def make_pairs(seed, count, words=12, longest=6):
    """Lines over ``words`` words and their word by word translation, locally reordered."""
    random = np.random.default_rng(seed)
    source, target, gold = [], [], []
    for _ in range(count):
        line = random.integers(words, size=random.integers(1, longest + 1))
        order = np.argsort(np.arange(len(line)) + random.uniform(0, 2, len(line)))
        source.append([f"e{word}" for word in line])
        target.append([f"f{line[place]}" for place in order])
        gold.append(sorted((int(place), i) for i, place in enumerate(order)))
    return source, target, gold


def constructed_pairs(preset, count=2000):
    """Lines of two constructed languages with exact gold: words of one part of the meaning."""
    world = {"languages": {"xx": preset}, "parallel": {"heldout": count, "paraphrase": 0}}
    files = DataGenerator(ConlangSpec.model_validate(world)).do(
        Job("parallel", "heldout", count=count)
    )
    lines = {Path(path).name: text.splitlines() for path, text in files.items()}
    written = lines.get("xx.words", lines["xx.txt"])
    gold = [
        [tuple(map(int, link.split("-"))) for link in line.split()] for line in lines["aa-xx.align"]
    ]
    return [line.split() for line in lines["aa.txt"]], [line.split() for line in written], gold


class Tables:
    """Counts of a whole alignment in dictionaries, and the model's joint probability by them.

    Args:
        source: Lines of words.
        target: Lines of words.
        alignment: For each pair a list: the source place of each target word, or -1.
    """

    def __init__(self, source, target, alignment):
        self.outcomes = len({word for line in target for word in line})
        self.pairs, self.totals, self.unlinked = Counter(), Counter(), Counter()
        self.jumps, self.fertility = Counter(), Counter()
        reach = max(len(e) for e, f in zip(source, target, strict=True) if e and f) + 1
        for e, f, a in zip(source, target, alignment, strict=True):
            if not e or not f:
                continue
            for word, j in zip(f, a, strict=True):
                if j < 0:
                    self.unlinked[word] += 1
                else:
                    self.pairs[e[j], word] += 1
                    self.totals[e[j]] += 1
            self.jumps.update(steps(a, len(e)))
            self.fertility.update((word, min(a.count(j), MOST)) for j, word in enumerate(e))
        self.all_jumps = self.jumps.total() + JUMP * (2 * reach + 1)

    def joint(self, e, f, a, without=None, place=None):
        """Probability of a pair's alignment, up to a constant.

        Args:
            e: Source words.
            f: Target words.
            a: Source places.
            without: An alignment of this pair that the counts contain and shall not, of target word
                ``place`` and of the words' fertilities.
            place: See ``without``.
        """
        value = 1.0
        for i, (word, j) in enumerate(zip(f, a, strict=True)):
            own = without[i] if i == place else None
            if j < 0:
                nothing = self.unlinked.total() - (own == -1) + TRANSLATION * self.outcomes
                count = self.unlinked[word] - (own == -1) + TRANSLATION
                value *= NULL / (1 - NULL) * count / nothing
            else:
                was = e[own] if own is not None and own >= 0 else None
                count = self.pairs[e[j], word] - (was == e[j]) + TRANSLATION
                value *= count / (self.totals[e[j]] - (was == e[j]) + TRANSLATION * self.outcomes)
        value *= prod((self.jumps[d] + JUMP) / self.all_jumps for d in steps(a, len(e)))
        for j, word in enumerate(e):
            links = min(a.count(j), MOST)
            own = without is not None and min(without.count(j), MOST) == links
            value *= self.fertility[word, links] - own + FERTILITY
        return value


def steps(a, length):
    linked = [-1, *(j for j in a if j >= 0), length]
    return np.diff(linked).tolist()


class Watched(_Sampler):
    """Keeps what it draws from."""

    def draw(self, posterior, null):
        self.seen.append((posterior.copy(), null.copy()))
        return super().draw(posterior, null)


def sampler(source, target, seed=0, kind=Watched):
    one, other = number_words(source), number_words(target)
    cells, _ = lay_out(one, other)
    made = kind(cells, one.size, other.size, NULL, np.random.default_rng(seed))
    made.seen = []
    return made


def alignment_of(made, target):
    """The sampler's state as lists of source places, one for each pair."""
    result = [[-1] * len(line) for line in target]
    for i, places in enumerate(made.places):
        for pair, place in zip(made.cells.pairs, places.tolist(), strict=False):
            result[pair][i] = place
    return result


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), sweeps=st.integers(1, 4))
def test_words_are_drawn_from_the_joint_probability_given_all_others(seed, sweeps):
    source, target, _ = make_pairs(seed, 10, words=8, longest=5)
    target[3] = [*target[3], "extra"]
    target[4] = ["extra"] * 3
    source[5], target[7] = [], []
    made = sampler(source, target, seed)
    for number in range(sweeps):
        made.sweep(number > 0, number > 0)
    before = alignment_of(made, target)
    tables, state = Tables(source, target, before), [list(a) for a in before]
    made.seen = []
    made.sweep(True, True)
    after = alignment_of(made, target)
    for i, (posterior, null) in enumerate(made.seen):
        for row, pair in enumerate(made.cells.pairs[: len(null)]):
            e, f, a = source[pair], target[pair], state[pair]
            choices = [[*a[:i], j, *a[i + 1 :]] for j in (-1, *range(len(e)))]
            joint = np.array([tables.joint(e, f, b, before[pair], i) for b in choices])
            found = posterior[made.cells.starts[row] : made.cells.starts[row + 1]]
            # A word that occurs twice in a line is one count here and two in turn.
            if len(set(e)) == len(e):
                np.testing.assert_allclose(
                    [null[row], *found], joint / joint.sum(), rtol=2e-4, atol=1e-7
                )
            a[i] = after[pair][i]


def test_draws_agree_with_the_enumeration_of_all_alignments():
    source, target, _ = make_pairs(3, 60, words=6, longest=4)
    e, f = ["e0", "e1", "e2"], ["f1", "f0", "f0", "f2"]
    source, target = [e] * 400 + source, [f] * 400 + target

    class Held(Watched):
        def count(self):
            if not getattr(self, "held", False):
                super().count()

    made = sampler(source, target, kind=Held)
    for number in range(4):
        made.sweep(True, number > 1)
    tables = Tables(source, target, alignment_of(made, target))
    made.held = True
    # Large counts of like size: what one word adds, and is taken out, does not show, and chains
    # do not stay long in one state.
    for name in ("pairs", "totals", "unlinked", "fertility"):
        setattr(made, name, getattr(made, name) * 20 + 4000)
    types = [f"{side}{n}" for side in "ef" for n in range(6)]
    for counts, keys in (
        (tables.pairs, product(types, types)),
        (tables.totals, types),
        (tables.unlinked, types[6:]),
        (tables.fertility, product(types[:6], range(MOST + 1))),
    ):
        for key in keys:
            counts[key] = counts[key] * 20 + 4000
    every = [list(a) for a in product((-1, 0, 1, 2), repeat=4)]
    joint = np.array([tables.joint(e, f, a) for a in every])
    expected = [
        [joint[[a[i] == j for a in every]].sum() / joint.sum() for j in (-1, 0, 1, 2)]
        for i in range(4)
    ]
    found = np.zeros((4, 4))
    for number in range(60):
        made.sweep(True, True)
        if number >= 20:
            for a in alignment_of(made, target)[:400]:
                found[np.arange(4), np.array(a) + 1] += 1
    np.testing.assert_allclose(found / (40 * 400), expected, atol=0.03)
    assert min(max(row) for row in expected) < 0.9


def test_cells_are_all_pairs_of_words():
    source = [["b", "a"], [], ["a", "c", "c"], ["b"]]
    target = [["X"], ["Y", "Z"], ["Z", "X"], ["X", "Y", "Y"]]
    sides = number_words(source), number_words(target)
    numbers = {}
    for cells, one, other in zip(lay_out(*sides), (source, target), (target, source), strict=True):
        assert sorted(cells.pairs.tolist()) == [0, 2, 3]
        lengths = [len(other[pair]) for pair in cells.pairs]
        assert lengths == sorted(lengths, reverse=True)
        for i, entries in enumerate(cells.entries):
            met = [
                (word, other[pair][i])
                for pair in cells.pairs
                if len(other[pair]) > i
                for word in one[pair]
            ]
            assert len(entries) == len(met)
            for words, number in zip(met, entries.tolist(), strict=True):
                words = words if one is source else words[::-1]
                assert numbers.setdefault(words, number) == number
        assert cells.kinds == len({*numbers.values()}) == len(numbers)


def test_a_planted_translation_is_found():
    source, target, gold = make_pairs(0, 400, words=60, longest=9)
    for method in ("intersection", "grow-diag-final-and"):
        assert alignment_error_rate(align_words(source, target, method), gold) < 0.03
    assert alignment_error_rate(WordAligner().align(source, target), gold) < 0.03
    diagonal = [[(i, i) for i in range(len(line))] for line in source]
    assert alignment_error_rate(diagonal, gold) > 0.15


@pytest.mark.slow  # whole worlds
@pytest.mark.parametrize(("preset", "most"), [("near", 0.02), ("mid", 0.03), ("far", 0.07)])
def test_constructed_languages_are_aligned_whatever_their_order(preset, most):
    source, target, gold = constructed_pairs(preset)
    links = align_words(source, target)
    assert alignment_error_rate(links, gold) < most


def test_words_without_a_counterpart_claim_nothing():
    """A particle that follows every noun has no translation, and would do for any by its place."""
    source, target, gold = make_pairs(1, 500, words=40, longest=6)
    source = [[part for word in line for part in (word, "particle")] for line in source]
    gold = [[(2 * j, i) for j, i in links] for links in gold]
    links = align_words(source, target)
    assert alignment_error_rate(links, gold) < 0.03


def test_links_depend_on_the_seed_and_on_nothing_else():
    source, target, _ = make_pairs(2, 80, words=30)
    forward, backward = WordAligner().align_both(source, target)
    again, back_again = WordAligner().align_both(source, target)
    alone = WordAligner().align(source, target)
    for one, other, third in zip(forward, again, alone, strict=True):
        assert one.tolist() == other.tolist() == third.tolist()
    assert [links.tolist() for links in backward] == [links.tolist() for links in back_again]
    assert all(links.tolist() == sorted(links.tolist()) for links in (*forward, *backward))
    assert all(len({j for j, _ in links.tolist()}) == len(links) for links in backward)
    assert all(len({i for _, i in links.tolist()}) == len(links) for links in forward)
    noise = [target[k] for k in np.random.default_rng(0).permutation(80)]
    forward = WordAligner().align(source, noise)
    other = WordAligner(seed=2).align(source, noise)
    assert any(one.tolist() != two.tolist() for one, two in zip(forward, other, strict=True))


def test_the_order_of_pairs_hardly_matters():
    source, target, gold = make_pairs(4, 400, words=60)
    order = np.random.default_rng(0).permutation(400)
    there = align_words(source, target)
    moved = align_words([source[k] for k in order], [target[k] for k in order])
    back = [moved[k] for k in np.argsort(order)]
    assert alignment_error_rate(back, there) < 0.02
    assert alignment_error_rate(back, gold) < 0.03


def test_lines_may_be_empty_short_or_long():
    source, target, gold = make_pairs(5, 300, words=60)
    random = np.random.default_rng(0)
    numbers = random.permutation(60)[random.integers(0, 60, 300)]
    source += [[f"e{n}" for n in numbers], [], ["e1"], [], ["e2"] * 9, ["e3"] * 40]
    target += [[f"f{n}" for n in numbers], ["f1"], ["f1"], [], ["f2"], ["f3"]]
    links = align_words(source, target, aligner=WordAligner(samplers=1))
    assert alignment_error_rate(links[:300], gold) < 0.05
    assert alignment_error_rate(links[300:301], [[(i, i) for i in range(300)]]) < 0.1
    assert [len(found) for found in links[301:304]] == [0, 1, 0]
    assert links[304].max(initial=0) < 9
    assert links[305].max(initial=0) < 40
    (lone,) = WordAligner().align([["a"]], [["A"]])
    assert lone.shape[1] == 2


def test_words_are_numbered_in_order():
    side = number_words([["b", "a"], [], ["a", "c"]])
    assert (side.ids.tolist(), side.starts.tolist(), side.size) == ([0, 1, 1, 2], [0, 2, 2, 4], 3)


def test_bad_input_is_refused():
    with pytest.raises(XlingError, match="2 source lines and 1 target lines"):
        WordAligner().align([["a"], ["b"]], [["A"]])
    with pytest.raises(XlingError, match="words on both sides"):
        WordAligner().align([["a"], []], [[], ["B"]])
    with pytest.raises(XlingError, match=r"null 0\.0"):
        WordAligner(null=0.0)
    with pytest.raises(XlingError, match="samplers 0"):
        WordAligner(samplers=0)
