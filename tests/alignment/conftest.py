"""Two languages that say the same in other words, and tiny encoders of either."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

WORDS = 60
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def make_tokenizer(letter: str) -> PreTrainedTokenizerFast:
    names = SPECIAL + [f"{letter}{number}" for number in range(WORDS)]
    vocabulary = {name: number for number, name in enumerate(names)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names)


def save_model(folder: Path, letter: str, width: int, layers: int, seed: int) -> Path:
    config = BertConfig(
        vocab_size=WORDS + len(SPECIAL),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.normal_(std=0.3)
    model.save_pretrained(folder)
    make_tokenizer(letter).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def models_of(tmp_path_factory) -> dict[str, Path]:
    """Folders: ``aa``; ``bb``, its twin in other words; ``wide``, wider, deeper and unrelated."""
    root = tmp_path_factory.mktemp("models")
    return {
        "aa": save_model(root / "aa", "a", 12, 2, 0),
        "bb": save_model(root / "bb", "b", 12, 2, 0),
        "wide": save_model(root / "wide", "b", 16, 4, 1),
    }


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)

    def lines(count):
        return [random.zipf(1.3, size=random.integers(3, 9)) % WORDS for _ in range(count)]

    def write(path, rows, letter):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(" ".join(f"{letter}{n}" for n in row) + "\n" for row in rows)
        path.write_text(text, encoding="utf-8")

    for name, count in (("train", 150), ("test", 60)):
        rows = lines(count)
        for language in ("aa", "bb"):
            write(root / "parallel" / name / f"{language}.txt", rows, language[0])
    for language in ("aa", "bb"):
        write(root / "text" / "wiki" / f"{language}.txt", lines(300), language[0])
    (root / "dictionaries").mkdir()
    for split, numbers in (("train", range(0, WORDS, 2)), ("test", range(1, WORDS, 2))):
        text = "".join(f"a{n}\tb{n}\n" for n in numbers) + f"a{split}\tb1\n"
        (root / "dictionaries" / f"aa-bb.{split}.tsv").write_text(text, encoding="utf-8")
    return root
