"""Packing: everything once, within the limit, and as few batches as the rules allow."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from xling.encoders.batches import Tokens, packed, padded, ranges


def test_ranges_concatenates():
    starts, ends = np.array([4, 9, 2]), np.array([6, 9, 5])
    assert ranges(starts, ends).tolist() == [4, 5, 2, 3, 4]


@given(
    st.lists(st.integers(1, 60), max_size=50),
    st.integers(1, 200),
    st.sampled_from([0.0, 0.5, 0.8, 1.0]),
)
def test_batches_are_the_greedy_ones(lengths, budget, alike):
    """A loop that opens a new batch whenever the next row does not go with the first."""
    lengths = np.array(lengths, dtype=np.int64)
    expected = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        batch = expected[-1] if expected else []
        longest = lengths[batch[0]] if batch else 0
        fits = batch and (len(batch) + 1) * longest <= budget
        if fits and lengths[row] >= alike * longest:
            batch.append(row)
        else:
            expected.append([row])
    found = packed(lengths, np.arange(len(lengths)), budget, alike)
    assert [batch.tolist() for batch in found] == expected


def test_only_the_chosen_are_packed():
    lengths = np.array([10, 3, 50, 4, 8])
    parts = list(packed(lengths, np.array([4, 0, 1]), 20))
    assert [part.tolist() for part in parts] == [[0, 4], [1]]


@pytest.mark.parametrize("segments", [True, False])
def test_rows_are_padded_on_the_right(segments):
    tokens = Tokens(
        ids=np.array([5, 6, 7, 8, 9, 10]),
        starts=np.array([0, 2, 2, 3, 6]),
        special=np.zeros(6, dtype=bool),
        padding=1,
        truncated=0,
        types=np.array([0, 1, 1, 0, 0, 1], dtype=np.int8) if segments else None,
    )
    batch = padded(tokens, np.array([3, 0]), torch.device("cpu"))
    assert batch.ids_BL.tolist() == [[8, 9, 10], [5, 6, 1]]
    assert batch.mask_BL.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.tokens_BL[batch.real_BL].tolist() == [3, 4, 5, 0, 1]
    given = {name: tensor.tolist() for name, tensor in batch.inputs.items()}
    assert given == ({"token_type_ids": [[0, 0, 1], [0, 1, 0]]} if segments else {})
    assert [part.tolist() for part in tokens.batches(6)] == [[3], [0], [2]]
