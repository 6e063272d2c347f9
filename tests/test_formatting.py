"""Numbers and lists in words."""

import pytest

from xling import formatting


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1314, "0.131"), (0.0, "0.000"), (1.0, "1.000"), (0.0001, "0.0001"), (0.0005, "0.001")],
)
def test_score(value: float, text: str) -> None:
    assert formatting.score(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.4, "8 s"), (68, "1 min 08 s"), (59.7, "1 min 00 s"), (961, "16 min"), (7500, "2 h 05 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999_999, "999,999"), (1_860_000, "1.86 million"), (2e9, "2 billion"), (3.1e15, "3.10e+15")],
)
def test_large(value: float, text: str) -> None:
    assert formatting.large(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.25e9, "1.25 GB"), (3e6, "3 MB"), (500, "0.5 kB")])
def test_memory(value: float, text: str) -> None:
    assert formatting.memory(value) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([3], "layer 3"),
        ([1, 2], "layers 1 and 2"),
        ([4, 2, 3, 1], "layers 1 to 4"),
        ([0, 2, 3], "layers 0, 2 and 3"),
    ],
)
def test_layers(numbers: list[int], text: str) -> None:
    assert formatting.layers(numbers) == text


def test_listing() -> None:
    assert formatting.listing([]) == ""
    assert formatting.listing(["a"]) == "a"
    assert formatting.listing(["a", "b", "c"], "or") == "a, b or c"
