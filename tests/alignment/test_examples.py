import doctest
import importlib
import pkgutil

import pytest

import xling.alignment

MODULES = [
    f"xling.alignment.{module.name}" for module in pkgutil.iter_modules(xling.alignment.__path__)
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_give_what_they_show(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [
        test.examples for module in MODULES for test in finder.find(importlib.import_module(module))
    ]
    assert sum(map(len, examples)) > 20
