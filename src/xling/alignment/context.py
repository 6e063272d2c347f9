"""Pairs of word vectors in context, from word-aligned parallel text.

Conneau et al. 2020, section 5.1, Fig. 5.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from xling.alignment.layers import matched_layers
from xling.device import BATCH_TOKENS
from xling.errors import XlingError
from xling.measures.maps import Procrustes
from xling.measures.normalization import Method, Normalizer
from xling.measures.word_cells import check_parallel

if TYPE_CHECKING:
    from xling.encoders.encoder import Encoder

_CHUNK = 512  # lines encoded at a time: only the vectors of linked words are kept


@dataclass(frozen=True, eq=False)
class StateMap:
    """The map from a model's states of one layer to another model's: ``states @ matrix + shift``.

    Attributes:
        layer: The layer that the states are of.
        matrix: float64 array [d, e].
        shift: float64 array [e].
    """

    layer: int
    matrix: NDArray[np.float64]
    shift: NDArray[np.float64]


def learn_state_maps(
    one: "Encoder",
    other: "Encoder",
    lines: Sequence[Sequence[str]],
    other_lines: Sequence[Sequence[str]],
    links: Sequence[Any],
    normalization: Method = "iterative",
    batch_tokens: int = BATCH_TOKENS,
) -> Mapping[int, StateMap]:
    """Learn, for every layer of ``other``, the map that takes states of ``one`` there.

    Conneau et al. 2020, section 5.1, Fig. 5.

    The rotation is that of Procrustes on normalised vectors of linked words. What follows was
    trained on ``other``'s states as they are, so states are not normalised but rotated, the mean of
    one side going to that of the other. Layers are paired at equal relative depth; different
    widths are met by padding the narrower side with zeros.

    Args:
        one: Encoder of ``lines``: the target language's.
        other: Encoder of ``other_lines``: the source language's.
        lines: The words of each line.
        other_lines: The words of each line; line i means the same as line i of ``lines``.
        links: As :func:`linked_word_vectors` takes them.
        normalization: What is done to each side before the rotation is learnt.
        batch_tokens: Most tokens, padding included, in one forward pass.

    Returns:
        For each layer of ``other`` that has a partner its map.

    Raises:
        XlingError: as :func:`linked_word_vectors` does; fewer pairs than dimensions.
    """
    depths = [encoder.model.config.num_hidden_layers + 1 for encoder in (one, other)]
    layers = matched_layers(*depths)
    vectors = linked_word_vectors(one, other, lines, other_lines, links, layers, batch_tokens)
    return {
        layer: _state_map(X, Y, own, normalization)
        for (own, layer), (X, Y) in zip(layers, vectors, strict=True)
    }


def _state_map(
    X: NDArray[np.float32], Y: NDArray[np.float32], layer: int, normalization: Method
) -> StateMap:
    widest = max(X.shape[1], Y.shape[1])
    if len(X) < widest:
        raise XlingError(
            f"{len(X)} pairs of linked words for a map of {widest} dimensions: too few to "
            "determine it; align more parallel lines"
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "iterative normalisation is not stable", RuntimeWarning)
        x, y = (Normalizer(normalization).fit(side).transform(side) for side in (X, Y))
    matrix = Procrustes().fit(x, y).matrix_
    means = [side.mean(axis=0, dtype=np.float64) for side in (X, Y)]
    return StateMap(layer, matrix, means[1] - means[0] @ matrix)


def linked_word_vectors(
    one: "Encoder",
    other: "Encoder",
    lines: Sequence[Sequence[str]],
    other_lines: Sequence[Sequence[str]],
    links: Sequence[Any],
    layers: Sequence[tuple[int, int]],
    batch_tokens: int = BATCH_TOKENS,
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Vectors of the words that a word alignment links, row i with row i.

    What a map in context is learnt from: ``Procrustes().fit(X, Y)`` at each layer. The paper maps
    the target language's model into the source's space, so ``one`` is then the target.

    Args:
        one: Encoder of ``lines``.
        other: Encoder of ``other_lines``.
        lines: The words of each line.
        other_lines: The words of each line; line i means the same as line i of ``lines``.
        links: For each pair an array [links, 2] of (place, other place), as
            :func:`xling.measures.word_links.align_words` gives them; its intersection makes
            the cleanest pairs.
        layers: Pairs of a layer of ``one`` and one of ``other``, 0 being the embeddings' output.
        batch_tokens: Most tokens, padding included, in one forward pass.

    Returns:
        For each of ``layers`` float32 arrays [p, d] and [p, e]. Links of words cut off at a model's
        limit are left out. Memory is that of the result and of 512 lines.

    Raises:
        XlingError: for unequal numbers of lines, a link beyond a line, or no link at all.
    """
    from xling.encoders.word_vectors import word_vectors

    check_parallel(lines, other_lines)
    check_parallel(lines, links)
    kept: list[list[tuple[NDArray[np.float32], NDArray[np.float32]]]] = [[] for _ in layers]
    for start in range(0, len(lines), _CHUNK):
        part = slice(start, start + _CHUNK)
        places = _places(lines[part], other_lines[part], links[part], start)
        if not len(places):
            continue
        sides = [
            word_vectors(encoder, texts[part], [pair[side] for pair in layers], batch_tokens)[0][
                :, places[:, side]
            ]
            for side, (encoder, texts) in enumerate(((one, lines), (other, other_lines)))
        ]
        whole = sides[0][0].any(axis=1) & sides[1][0].any(axis=1)
        for number, found in enumerate(kept):
            found.append((sides[0][number][whole], sides[1][number][whole]))
    if not kept or not kept[0]:
        raise XlingError("no word is linked, or no layer asked for: nothing to learn a map from")
    return [
        (np.concatenate([x for x, _ in found]), np.concatenate([y for _, y in found]))
        for found in kept
    ]


def _places(
    lines: Sequence[Sequence[str]],
    other_lines: Sequence[Sequence[str]],
    links: Sequence[Any],
    start: int,
) -> NDArray[np.int64]:
    """Links as numbers of running words of the chunk [p, 2]."""
    result, before = [], np.zeros(2, dtype=np.int64)
    for number, (line, other, pair) in enumerate(zip(lines, other_lines, links, strict=True)):
        array = np.asarray(pair, dtype=np.int64).reshape(-1, 2)
        sizes = np.array([len(line), len(other)])
        if ((array < 0) | (array >= sizes)).any():
            raise XlingError(
                f"line {start + number + 1}: links beyond its {sizes[0]} and {sizes[1]} words; "
                "were both cut into words as for the alignment?"
            )
        result.append(array + before)
        before = before + sizes
    return np.concatenate(result)
