import doctest
import importlib
import pkgutil

import pytest

PACKAGES = ("measures", "encoders", "alignment")
MODULES = [
    f"xling.{package}.{module.name}"
    for package in PACKAGES
    for module in pkgutil.iter_modules(importlib.import_module(f"xling.{package}").__path__)
]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_give_what_they_show(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [
        test.examples for module in MODULES for test in finder.find(importlib.import_module(module))
    ]
    assert sum(map(len, examples)) > 40
