import doctest
import importlib

import pytest

MODULES = [
    "cca",
    "cka",
    "neighbours",
    "neurons",
    "procrustes_distance",
    "retrieval",
    "rsa",
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_give_what_they_show(module):
    result = doctest.testmod(importlib.import_module(f"xling.similarity.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
