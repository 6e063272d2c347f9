"""A small world with all presets, built once."""

import pytest

from xling.conlang.generate import DataGenerator
from xling.conlang.spec import ConlangSpec

PRESETS = ("twin", "near", "mid", "far")


def small_spec(**changes):
    values = {
        "seed": 3,
        "domains": {"wiki": {"sentences": 600}, "web": {"sentences": 200, "shift": 0.5}},
        "parallel": {"heldout": 120, "paraphrase": 60},
        **{part: {"train": 90, "dev": 30, "test": 30} for part in ("ner", "ud", "nli", "topics")},
        "languages": {name: name for name in PRESETS},
    }
    return ConlangSpec.parse({**values, **changes}, "test")


@pytest.fixture(scope="session")
def spec():
    return small_spec()


@pytest.fixture(scope="session")
def generator(spec):
    return DataGenerator(spec)
