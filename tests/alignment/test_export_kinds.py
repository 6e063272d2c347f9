"""An exported pair of decoder-only models or T5 encoders opens with what users have."""

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

import xling
from xling.alignment.config import ExportSettings
from xling.alignment.export_stage import export_pair
from xling.data.layout import DataFolder
from xling.errors import XlingError

SETTINGS = ExportSettings(languages=("aa", "bb"), train="train", layer=1, resamples=0)


@pytest.fixture
def save(build, tokenizer, tmp_path):
    """Save a tiny model of a kind; returns the folder."""

    def saved(kind):
        build(kind, len(tokenizer)).save_pretrained(tmp_path / kind)
        backend = tokenizer.backend_tokenizer
        names = {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]"}
        without = PreTrainedTokenizerFast(tokenizer_object=backend, **names)  # [PAD], as often
        (without if kind == "gpt2" else tokenizer).save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return saved


@pytest.fixture
def lines(parallel, tmp_path):
    for name in ("train", "test"):
        folder = tmp_path / "data" / "parallel" / name
        folder.mkdir(parents=True)
        for language, text in parallel.items():
            (folder / f"{language}.txt").write_text("\n".join(text) + "\n", encoding="utf-8")
    return DataFolder(tmp_path / "data")


@pytest.mark.parametrize(("one", "other"), [("t5", "llama"), ("gpt2", "gemma3_text")])
def test_sentence_transformers_opens_it(save, lines, parallel, tmp_path, one, other):
    library = pytest.importorskip("sentence_transformers")
    export_pair(save(one), save(other), lines.root, tmp_path / "pair", SETTINGS)
    pair = xling.load_aligned(tmp_path / "pair")
    for language, texts in parallel.items():
        alone = library.SentenceTransformer(str(tmp_path / "pair" / language), device="cpu")
        np.testing.assert_allclose(alone.encode(texts), pair.encode(texts, language), atol=2e-6)


def test_what_cannot_be_saved_is_refused_before_the_work(save, lines, tmp_path, monkeypatch):
    models = save("bart"), save("llama")
    monkeypatch.setattr("xling.alignment.export_stage.parallel_vectors", None)
    with pytest.raises(XlingError, match="BartEncoder: cannot be saved alone"):
        export_pair(*models, lines.root, tmp_path / "pair", SETTINGS)
    assert not (tmp_path / "pair").exists()
