"""Three languages that say the same: one shifted, one in other words, and a model for all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from xling.audit.page import write_figures

WORDS = 60
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LANGUAGES = {"en": "a", "fr": "b", "xx": "c"}


def word_tokenizer() -> PreTrainedTokenizerFast:
    names = SPECIAL + [f"{letter}{n}" for letter in LANGUAGES.values() for n in range(WORDS)]
    backend = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    named = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **named)


def aligned_model(seed: int = 0, shift: float = 0.4, width: int = 16, layers: int = 2) -> BertModel:
    """French words have the vectors of the English ones and an offset; xx is unrelated."""
    config = BertConfig(
        vocab_size=len(SPECIAL) + 3 * WORDS,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(std=0.3)
        table = model.embeddings.word_embeddings.weight
        start = len(SPECIAL)
        table *= 5  # so that the words and not their places decide
        offset = shift * torch.randn(width)
        table[start + WORDS : start + 2 * WORDS] = table[start : start + WORDS] + offset
    return model.eval()


def save_model(folder: Path, **options) -> Path:
    aligned_model(**options).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def parallel_lines(count: int, seed: int = 0) -> dict[str, list[str]]:
    random = np.random.default_rng(seed)
    rows = [random.integers(WORDS, size=random.integers(4, 12)) for _ in range(count)]
    return {
        code: [" ".join(f"{letter}{n}" for n in row) for row in rows]
        for code, letter in LANGUAGES.items()
    }


def write_data(root: Path, lines: dict[str, list[str]], name: str = "talks") -> Path:
    for code, texts in lines.items():
        path = root / "parallel" / name / f"{code}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return root


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch):
    """Drawing is half of a small audit. The folder that tests share is made before, with it."""
    monkeypatch.setattr("xling.audit.page.write_figures", lambda found, folder: folder.mkdir())


@pytest.fixture
def pictures(no_pictures, monkeypatch):
    """For a test whose pictures no other has."""
    monkeypatch.setattr("xling.audit.page.write_figures", write_figures)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def other_model(tmp_path_factory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "other", seed=1, shift=3.0)


@pytest.fixture(scope="session")
def apart(tmp_path_factory) -> Path:
    """A model whose languages lie apart, each by an offset of its own."""
    return save_model(tmp_path_factory.mktemp("models") / "apart", shift=6.0)


@pytest.fixture(scope="session")
def lines() -> dict[str, list[str]]:
    return parallel_lines(60)


@pytest.fixture(scope="session")
def data(tmp_path_factory, lines) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), lines)


@pytest.fixture(scope="session")
def audited(tmp_path_factory, model, data) -> Path:
    """The folder of an audit of the small model."""
    from xling.audit.config import AuditSettings
    from xling.audit.stage import audit_models

    out = tmp_path_factory.mktemp("audits") / "one"
    audit_models([str(model)], data, out, AuditSettings(resamples=200))
    return out
