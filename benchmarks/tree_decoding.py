"""Decode dependency trees: ours against a plain Chu-Liu-Edmonds, on one core.

Run: ``python benchmarks/tree_decoding.py [--data DATA --language en]``. With a data folder the
sentences are as long as those of its dev treebank and good scores favour its trees;
without, lengths are drawn like those of UD_English-EWT dev. The peer is the recursive algorithm
of textbooks on dictionaries; where its tree has several roots it runs again with a constant taken
from the roots' scores, so that both give the best tree with one root.

Three kinds of scores: noise alone; noise and a margin for every gold arc, like a parser in a
language it was not trained on; and like a trained parser, which is sure of nine words in ten and
knows nothing of the tenth. "not trees" is the share of sentences whose words' best heads make no
tree with one root; the others need no algorithm, and there the peer is nearly as quick.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from figures import Figure, add_options, show
from numpy.typing import NDArray

from xling.data.conllu import tree_fault
from xling.data.layout import DataFolder
from xling.randomness import generator
from xling.transfer.tree_decoding import decode

SENTENCES = 2001
REPEATS = 5
# How much higher a gold arc scores than others, in standard deviations, and for what share.
KINDS = {"random": (0.0, 1.0), "noisy": (2.0, 1.0), "trained": (10.0, 0.9)}

T = TypeVar("T")
Scores = list[NDArray[np.float32]]
Graph = dict[int, dict[int, float]]  # dependent -> head -> score


def main() -> None:
    """Print seconds and ratios; both must find trees of the same score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="data folder with a dev treebank")
    parser.add_argument("--language", default="en")
    add_options(parser)
    arguments = parser.parse_args()
    trees = gold_trees(arguments.data, arguments.language)
    if arguments.small:
        trees = trees[:100]
    figures = []
    for kind, (margin, share) in KINDS.items():
        scores = made_scores(trees, margin, share)
        ours, found = seconds(lambda scores=scores: decode(scores), REPEATS)
        plain, expected = seconds(
            lambda scores=scores: [plain_tree(one) for one in scores], REPEATS
        )
        for matrix, ours_heads, heads in zip(scores, found, expected, strict=True):
            words = np.arange(len(matrix))
            totals = [matrix[words, one].astype(float).sum() for one in (ours_heads, heads)]
            np.testing.assert_allclose(totals[0], totals[1], atol=1e-4)
        right = np.concatenate([a == b for a, b in zip(found, trees, strict=True)])
        greedy = np.mean([greedy_is_tree(one) for one in scores])
        work = f"{kind} scores, UAS {right.mean():.3f}, {1 - greedy:.0%} not trees"
        rates = [len(trees) / spent for spent in (ours, plain)]
        figures.append(Figure(work, rates[0], "sentences/CPU s", "plain algorithm", rates[1]))
    show("tree decoding", figures, arguments)


def gold_trees(data: Path | None, language: str) -> list[list[int]]:
    """Return heads of a dev treebank, or of random trees of similar lengths."""
    if data:
        return [tree.heads for tree in DataFolder(data).treebank(language, "dev")]
    random = generator(0, "benchmark lengths")
    # EWT dev: mean 12.6 words, longest 75, many of one to three.
    lengths = np.clip(random.gamma(1.2, 10.5, size=SENTENCES).astype(int), 1, 75)
    return [random_tree(random, words) for words in lengths.tolist()]


def random_tree(random: np.random.Generator, words: int) -> list[int]:
    """Attach each word, in random order, to one attached before it; the first is the root."""
    order = random.permutation(words) + 1
    heads = [0] * words
    for place in range(1, words):
        heads[order[place] - 1] = int(order[random.integers(place)])
    return heads


def made_scores(trees: Sequence[Sequence[int]], margin: float, share: float) -> Scores:
    """Return normal noise, and the margin on a share of the gold arcs."""
    random = generator(1, "benchmark scores")
    scores = []
    for heads in trees:
        matrix = random.normal(size=(len(heads), len(heads) + 1)).astype(np.float32)
        sure = random.random(len(heads)) < share
        matrix[np.arange(len(heads)), heads] += margin * sure
        scores.append(matrix)
    return scores


def seconds(work: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Return the shortest processor time of some repeats, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        times.append(time.process_time() - start)
    return min(times), result


def greedy_is_tree(matrix: NDArray[np.float32]) -> bool:
    """Say whether every word's best head gives a tree with one root."""
    words = np.arange(len(matrix))
    others = matrix.copy()
    others[words, words + 1] = -np.inf
    return tree_fault(others.argmax(axis=1).tolist()) is None


def plain_tree(matrix: NDArray[np.float32]) -> list[int]:
    """Return the best tree with one root."""
    rows = matrix.tolist()
    words = range(1, len(rows) + 1)
    graph = {word: {h: s for h, s in enumerate(rows[word - 1]) if h != word} for word in words}
    heads = chu_liu_edmonds(graph)
    if sum(heads[word] == 0 for word in words) > 1:
        scores = [score for row in rows for score in row]
        constant = len(rows) * (max(scores) - min(scores)) + 1
        for options in graph.values():
            options[0] -= constant
        heads = chu_liu_edmonds(graph)
    return [heads[word] for word in words]


def chu_liu_edmonds(graph: Graph) -> dict[int, int]:
    """Return the best head of every node but 0."""
    best = {node: max(heads, key=heads.__getitem__) for node, heads in graph.items()}
    cycle = find_cycle(best)
    if not cycle:
        return best
    name = max(max(graph), max(max(heads) for heads in graph.values())) + 1
    smaller: Graph = {name: {}}
    origin: dict[tuple[int, int], tuple[int, int]] = {}
    for node, heads in graph.items():
        for head, score in heads.items():
            if node in cycle and head in cycle:
                continue
            if node in cycle:
                key, value = (name, head), score - graph[node][best[node]]
            else:
                key, value = (node, name if head in cycle else head), score
            row = smaller.setdefault(key[0], {})
            if key[1] not in row or value > row[key[1]]:
                row[key[1]] = value
                origin[key] = (node, head)
    tree = {node: best[node] for node in cycle}
    for node, head in chu_liu_edmonds(smaller).items():
        real_node, real_head = origin[node, head]
        tree[real_node] = real_head
    return tree


def find_cycle(best: dict[int, int]) -> set[int]:
    """Return the nodes of one cycle, or none."""
    done: set[int] = set()
    for start in best:
        path: list[int] = []
        node = start
        while node in best and node not in done and node not in path:
            path.append(node)
            node = best[node]
        if node in path:
            return set(path[path.index(node) :])
        done.update(path)
    return set()


if __name__ == "__main__":
    main()
