"""A tiny shape, a vocabulary of two made-up languages, and families of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xling.data.layout import DataFolder
from xling.model.architecture import ModelShape
from xling.model.family import Family
from xling.model.sharing import SharingPlan
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

SIZE = {"layers": 4, "heads": 2, "hidden": 16, "feed_forward": 24, "dropout": 0.0, "max_length": 16}
SHAPE = ModelShape(**SIZE)
# Every class of transformers that families are made of
KINDS = {
    "bert": {},
    "bert-rotary": {"positions": "rotary"},
    "xlm-roberta": {"architecture": "xlm-roberta"},
    "modernbert": {"architecture": "modernbert"},
    "llama": {"architecture": "llama"},
    "llama-untied": {"architecture": "llama", "tied_output": False},
}


@pytest.fixture(scope="session", params=KINDS)
def shape(request) -> ModelShape:
    """A shape of each architecture in turn."""
    return ModelShape(**SIZE, **KINDS[request.param])


@pytest.fixture(scope="session")
def bert() -> ModelShape:
    return SHAPE


@pytest.fixture(scope="session")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for language, letters in (("en", "abcde"), ("fr", "abxyz")):
        words = ["".join(random.choice([*letters], 4)) for _ in range(50)]
        lines = [" ".join(random.choice(words, 6)) for _ in range(100)]
        path = root / "text" / "wiki" / f"{language}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = root / "vocabulary"
    build_vocabulary(
        DataFolder(root), {"en": ["wiki"], "fr": ["wiki"]}, VocabularyConfig(size=60), out
    )
    return Vocabulary.load(out)


@pytest.fixture(scope="session")
def make_family(vocabulary: Vocabulary, shape: ModelShape):
    """The function that builds a family: (separate parts, seed); no weight of it is 0 or 1."""

    def make(*separate: str, seed: int = 1) -> Family:
        family = Family.build(
            shape,
            dict.fromkeys(vocabulary.languages, vocabulary.size),
            SharingPlan.parse(separate, shape.layers),
            seed,
        )
        draws = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in family.parameters():
                # Zero biases and unit norms would hide a part that is left out
                parameter.add_(torch.randn(parameter.shape, generator=draws), alpha=0.1)
        return family.eval()

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"
