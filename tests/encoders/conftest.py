"""A tiny family with a vocabulary of xling's own and 24 positions."""

from pathlib import Path

import pytest

from xling.data.layout import DataFolder
from xling.model.architecture import ModelShape
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.model.storage import save_family
from xling.vocabulary.build import build_vocabulary
from xling.vocabulary.config import VocabularyConfig
from xling.vocabulary.vocabulary import Vocabulary


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a family with the one member aa."""
    root = tmp_path_factory.mktemp("family")
    text = root / "data" / "text" / "wiki" / "aa.txt"
    text.parent.mkdir(parents=True)
    words = ["mira", "toma", "dorf", "kalt", "the", "goes", "and", "big"]
    lines = [" ".join(words[i % 8 :] + words[: i % 5]) for i in range(100)]
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = VocabularyConfig(size=50)
    build_vocabulary(DataFolder(root / "data"), {"aa": ["wiki"]}, config, root / "vocabulary")
    vocabulary = Vocabulary.load(root / "vocabulary")
    shape = ModelShape(layers=2, heads=2, hidden=32, feed_forward=64, dropout=0.0, max_length=24)
    sizes = {"aa": vocabulary.size}
    family = Family.build(shape, sizes, SharingPlan.parse([], shape.layers), seed=1)
    save_family(family, vocabulary, root / "model")
    return root / "model"
