"""Windows against slices of the whole text."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.tokens.streams import ShardWriter, Stream, TokenIndex, TokenStream


def write(
    folder: Path, parts: list[int], shard_tokens: int, dtype: str = "<u2"
) -> list[np.ndarray]:
    """Write parts of running numbers and their index."""
    written, streams, start = [], [], 0
    for number, tokens in enumerate(parts):
        ids = np.arange(start, start + tokens).astype(dtype)
        start += tokens
        writer = ShardWriter(folder, f"aa/part{number}.train", shard_tokens)
        for piece in np.array_split(ids, 3):
            writer.append(piece)
        streams.append(
            Stream(
                language="aa", part=f"part{number}", split="train", lines=number, characters=1,
                words=2, tokens=tokens, unknowns=3, shards=writer.close(),
            )
        )  # fmt: skip
        written.append(ids)
    TokenIndex(vocabulary_size=1 << 16, dtype=dtype, streams=tuple(streams)).save(folder)
    return written


def naive_windows(part: np.ndarray, length: int, offset: int) -> list[list[int]]:
    """Every window that stays inside the part at the greatest offset too."""
    return [
        part[start + offset : start + offset + length].tolist()
        for start in range(0, len(part), length)
        if start + (length - 1) + length <= len(part)
    ]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    parts=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    shard_tokens=st.integers(1, 40),
    length=st.integers(1, 9),
    data=st.data(),
)
def test_rows_are_slices_of_each_part(tmp_path_factory, parts, shard_tokens, length, data):
    folder = tmp_path_factory.mktemp("tokens")
    written = write(folder, parts, shard_tokens)
    stream = TokenStream.open(folder, "aa", "train")
    offset = data.draw(st.integers(0, length - 1))
    expected = [row for part in written for row in naive_windows(part, length, offset)]
    assert stream.tokens == sum(parts)
    assert stream.windows(length) == len(expected)
    indices = data.draw(st.permutations(range(len(expected))))
    rows = stream.rows(np.array(indices, dtype=np.int64), length, offset)
    assert rows.dtype == np.int64
    assert rows.shape == (len(expected), length)
    assert rows.tolist() == [expected[index] for index in indices]


def test_shards_have_the_size_asked_but_the_last(tmp_path):
    write(tmp_path, [25], 10)
    shards = TokenIndex.load(tmp_path).streams[0].shards
    assert [shard.tokens for shard in shards] == [10, 10, 5]
    assert [(tmp_path / shard.file).stat().st_size for shard in shards] == [20, 20, 10]


def test_large_vocabularies_take_four_bytes(tmp_path):
    (part,) = write(tmp_path, [25], 10, "<u4")
    rows = TokenStream.open(tmp_path, "aa", "train").rows(np.array([1]), 5)
    assert rows.tolist() == [part[5:10].tolist()]


def test_counts_are_those_of_all_parts(tmp_path):
    write(tmp_path, [5, 6, 7], 10)
    stream = TokenStream.open(tmp_path, "aa", "train")
    assert (stream.lines, stream.words, stream.unknowns) == (3, 6, 9)


@pytest.mark.parametrize("bad", [[-1], [5], [0, 99]])
def test_windows_beyond_the_end_are_refused(tmp_path, bad):
    write(tmp_path, [25], 10)
    stream = TokenStream.open(tmp_path, "aa", "train")
    assert stream.windows(4) == 5
    with pytest.raises(IndexError):
        stream.rows(np.array(bad), 4)


@pytest.mark.parametrize("offset", [-1, 4])
def test_offsets_beyond_a_window_are_refused(tmp_path, offset):
    write(tmp_path, [25], 10)
    with pytest.raises(ValueError, match="offset"):
        TokenStream.open(tmp_path, "aa", "train").rows(np.array([0]), 4, offset)


def test_truncated_altered_and_missing_shards_are_named(tmp_path):
    write(tmp_path, [25], 10)
    path = tmp_path / "aa" / "part0.train-00001.bin"
    raw = path.read_bytes()
    TokenStream.open(tmp_path, "aa", "train").verify()
    path.write_bytes(raw[::-1])
    with pytest.raises(XlingError, match=r"part0\.train-00001\.bin: was altered"):
        TokenStream.open(tmp_path, "aa", "train").verify()
    path.write_bytes(raw[:-1])
    with pytest.raises(XlingError, match=r"00001\.bin: 19 bytes where the index says 20"):
        TokenStream.open(tmp_path, "aa", "train")
    path.unlink()
    with pytest.raises(XlingError, match=r"00001\.bin: not found"):
        TokenStream.open(tmp_path, "aa", "train")


def test_streams_that_are_not_there_are_named(tmp_path):
    with pytest.raises(XlingError, match=r"index\.json: not found"):
        TokenStream.open(tmp_path, "aa", "train")
    write(tmp_path, [25], 10)
    with pytest.raises(XlingError, match="no train tokens of cc; it has aa"):
        TokenStream.open(tmp_path, "cc", "train")
    (tmp_path / "index.json").write_text('{"streams": []}')
    with pytest.raises(XlingError, match="not an index of token streams"):
        TokenStream.open(tmp_path, "aa", "train")
