import json

import numpy as np
import pytest
import torch

from xling.encoders.encoder import Encoder
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError


def test_load_opens_a_masked_lm_folder_as_its_body(tmp_path, build, tokenizer, parallel):
    model = build("bert-mlm", len(tokenizer))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    before = torch.get_rng_state()
    loaded = Encoder.load(tmp_path, "aa")
    assert torch.equal(before, torch.get_rng_state())
    assert (loaded.language, loaded.model.dtype, loaded.model.training) == (
        "aa",
        torch.float32,
        False,
    )
    np.testing.assert_allclose(
        sentence_vectors(loaded, parallel["aa"]),
        sentence_vectors(Encoder("aa", model, tokenizer), parallel["aa"]),
        atol=1e-5,
    )


def test_load_reads_safetensors_only_and_says_what_it_expects(tmp_path, build, tokenizer):
    model = build("bert", len(tokenizer))
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(XlingError, match=r"cannot be opened as an encoder.*model\.safetensors"):
        Encoder.load(tmp_path, "aa")


def test_load_runs_no_code_shipped_with_a_model(tmp_path, build, tokenizer):
    build("bert", len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "unheard-of", "auto_map": {"AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit('this code was run')")
    with pytest.raises(XlingError, match="cannot be opened"):
        Encoder.load(tmp_path, "aa")


def test_maximum_length_is_what_positions_and_tokenizer_allow(build, tokenizer):
    vocabulary = len(tokenizer)
    assert Encoder("aa", build("bert", vocabulary), tokenizer).maximum_length == 64
    # RoBERTa numbers positions from padding_idx + 1 = 1.
    assert Encoder("aa", build("xlm-r", vocabulary), tokenizer).maximum_length == 63
    assert Encoder("aa", build("distilbert", vocabulary), tokenizer).maximum_length == 64


def test_longest_input_runs_on_every_architecture(encoder):
    line = " ".join(["abc"] * 200)
    vectors = sentence_vectors(encoder, [line])
    assert np.isfinite(vectors).all()
