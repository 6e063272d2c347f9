from collections import defaultdict
from math import exp
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import digamma

from xling.alignment.symmetrization import align_words
from xling.alignment.word_aligner import DiagonalAligner
from xling.alignment.word_cells import lay_out, number_words
from xling.alignment.word_links import alignment_error_rate
from xling.data.conlang.parts import Job, Workshop
from xling.data.conlang.spec import ConlangSpec
from xling.errors import XlingError


def prior(i, m, n, tension, null):
    weights = [exp(-tension * abs((i + 1) / m - (j + 1) / n)) for j in range(n)]
    return [(1 - null) * weight / sum(weights) for weight in weights]


def by_loops(source, target, rounds, tension, null, concentration):
    """The model of the docstring with dictionaries.

    Returns for each pair and target word the source places (None: no source) that it may be linked
    to: the likeliest, and those so near that the precision of the sums decides.
    """
    types = {word for line in target for word in line}
    t = defaultdict(lambda: 1 / len(types))
    for number in range(rounds):
        counts, totals = defaultdict(float), defaultdict(float)
        result = []
        for e, f in zip(source, target, strict=True):
            links = []
            for i, word in enumerate(f if e else []):
                p = prior(i, len(f), len(e), tension, null)
                joint = [t[other, word] * p[j] for j, other in enumerate(e)]
                nothing = t[None, word] * null
                least = max(*joint, nothing) * (1 - 1e-3)
                choices = {None: nothing, **dict(enumerate(joint))}
                links.append({place for place, value in choices.items() if value >= least})
                evidence = sum(joint) + nothing
                for j, other in enumerate(e):
                    counts[other, word] += joint[j] / evidence
                counts[None, word] += nothing / evidence
            result.append(links)
        if number == rounds - 1:
            return result
        for (other, _), count in counts.items():
            totals[other] += count
        # Every type is an outcome of every word, but only those that met it are ever asked for.
        t = {
            (other, word): exp(
                digamma(count + concentration) - digamma(totals[other] + concentration * len(types))
            )
            for (other, word), count in counts.items()
        }
    raise AssertionError


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
    files = Workshop(ConlangSpec.model_validate(world)).do(Job("parallel", "heldout", count=count))
    lines = {Path(path).name: text.splitlines() for path, text in files.items()}
    written = lines.get("xx.words", lines["xx.txt"])
    gold = [
        [tuple(map(int, link.split("-"))) for link in line.split()] for line in lines["aa-xx.align"]
    ]
    return [line.split() for line in lines["aa.txt"]], [line.split() for line in written], gold


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), rounds=st.integers(1, 3), null=st.sampled_from([0.08, 0.4]))
def test_links_are_those_of_a_model_in_dictionaries(seed, rounds, null):
    source, target, _ = make_pairs(seed, 12)
    target[3] = target[3] + ["extra"]
    source[5], target[7] = [], []
    expected = by_loops(source, target, rounds, 4.0, null, 0.01)
    found = DiagonalAligner(rounds, null=null).align(source, target)
    assert len(found) == len(expected)
    certain = 0
    for links, allowed in zip(found, expected, strict=True):
        sources = {int(i): int(j) for j, i in links}
        assert len(sources) == len(links)
        assert set(sources) <= set(range(len(allowed)))
        assert all(sources.get(i) in places for i, places in enumerate(allowed))
        certain += sum(len(places) == 1 for places in allowed)
    assert certain > 10


def test_cells_are_all_pairs_of_words():
    m, n = np.array([2, 0, 3, 1]), np.array([3, 2, 0, 2])
    cells = lay_out(m, n, np.array([0, 2, 2, 5]), np.array([0, 3, 5, 5]))
    expected = [
        (s0 + j, t0 + i, abs((i + 1) / b - (j + 1) / a))
        for a, b, s0, t0 in zip(m, n, (0, 2, 2, 5), (0, 3, 5, 5), strict=True)
        for i in range(b)
        for j in range(a)
    ]
    assert cells.source.tolist() == [cell[0] for cell in expected]
    assert np.repeat(cells.target, cells.sizes).tolist() == [cell[1] for cell in expected]
    np.testing.assert_allclose(cells.offsets, [cell[2] for cell in expected], atol=1e-6)


def test_a_planted_translation_is_found_and_both_directions_help():
    source, target, gold = make_pairs(0, 400, words=60, longest=9)
    rates = {
        method: alignment_error_rate(align_words(source, target, method), gold)
        for method in ("intersection", "grow-diag-final-and")
    }
    one_way = alignment_error_rate(DiagonalAligner().align(source, target), gold)
    assert max(rates.values()) < 0.06
    assert one_way < 0.1
    diagonal = [[(i, i) for i in range(len(line))] for line in source]
    assert alignment_error_rate(diagonal, gold) > 3 * max(rates.values())


@pytest.mark.parametrize(("preset", "most"), [("near", 0.045), ("mid", 0.09), ("far", 0.115)])
def test_constructed_languages_are_aligned_whatever_their_order(preset, most):
    source, target, gold = constructed_pairs(preset)
    links = align_words(source, target)
    assert alignment_error_rate(links, gold) < most


def test_words_are_numbered_in_order():
    side = number_words([["b", "a"], [], ["a", "c"]])
    assert (side.ids.tolist(), side.starts.tolist(), side.size) == ([0, 1, 1, 2], [0, 2, 2, 4], 3)


def test_bad_input_is_refused():
    with pytest.raises(XlingError, match="2 source lines and 1 target lines"):
        DiagonalAligner().align([["a"], ["b"]], [["A"]])
    with pytest.raises(XlingError, match="words on both sides"):
        DiagonalAligner().align([["a"], []], [[], ["B"]])
    with pytest.raises(XlingError, match=r"null 0\.0"):
        DiagonalAligner(null=0.0)
    with pytest.raises(XlingError, match="iterations 0"):
        DiagonalAligner(iterations=0)
