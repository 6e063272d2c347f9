"""Kept vectors are those of this very encoder and these very lines, and are made once."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from xling.encoders import kept_vectors
from xling.encoders.encoder import Encoder
from xling.encoders.kept_vectors import encoder_hash, kept_sentence_vectors
from xling.encoders.representations import sentence_vectors
from xling.errors import XlingError


@pytest.fixture
def count(monkeypatch):
    """How often lines were encoded."""
    calls = []
    encode = kept_vectors.sentence_vectors
    monkeypatch.setattr(
        kept_vectors, "sentence_vectors", lambda *a, **k: calls.append(1) or encode(*a, **k)
    )
    return calls


def test_the_same_content_is_encoded_once(bert, parallel, tmp_path, count):
    lines = parallel["aa"][:20]
    first = kept_sentence_vectors(bert, lines, tmp_path / "kept")
    twin = Encoder("bb", copy.deepcopy(bert.model), bert.tokenizer)
    again = kept_sentence_vectors(twin, lines, tmp_path / "kept")
    assert len(count) == 1
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, sentence_vectors(bert, lines))


def test_other_content_is_encoded_anew(bert, parallel, learn_tokenizer, tmp_path, count):
    lines = parallel["aa"][:20]
    other = Encoder("aa", copy.deepcopy(bert.model), bert.tokenizer)
    with torch.no_grad():
        next(other.body.parameters())[10, 0] += 1e-3
    cases = [(bert, lines), (other, lines), (bert, lines[::-1]), (bert, lines[:-1])]
    joined = [f"{lines[0]}{lines[1][:1]}", lines[1][1:], *lines[2:]]  # the same characters
    cases.append((bert, joined))
    cases.append((Encoder("aa", bert.model, learn_tokenizer(parallel["aa"], 40)), lines))
    for number, (encoder, text) in enumerate(cases, 1):
        found = kept_sentence_vectors(encoder, text, tmp_path / "kept")
        assert len(count) == number
        np.testing.assert_array_equal(found, sentence_vectors(encoder, text))


def test_half_precision_is_hashed_too(bert):
    half = Encoder("aa", copy.deepcopy(bert.model).to(torch.bfloat16), bert.tokenizer)
    assert encoder_hash(half) != encoder_hash(bert)


def test_how_a_tokenizer_was_used_last_does_not_count(bert):
    used = Encoder("aa", bert.model, copy.deepcopy(bert.tokenizer))
    used.tokenizer(["a b", "c"], padding="max_length", max_length=7, truncation=True)
    assert used.tokenizer.backend_tokenizer.padding is not None
    assert encoder_hash(used) == encoder_hash(bert)


def test_a_folder_of_something_else_is_left_alone(bert, parallel, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(XlingError, match="holds files that xling did not write"):
        kept_sentence_vectors(bert, parallel["aa"][:5], tmp_path)


SECOND_RUN = """
import json, sys
from pathlib import Path
from transformers import BertModel
from xling.encoders.encoder import Encoder
from xling.encoders.kept_vectors import kept_sentence_vectors

forward, calls = BertModel.forward, []
BertModel.forward = lambda *a, **k: calls.append(1) or forward(*a, **k)
lines = json.loads(sys.argv[1])
kept_sentence_vectors(Encoder.load("there/model", "aa"), lines, Path("kept"))
print(len(calls))
"""


@pytest.mark.slow
def test_another_process_reads_what_one_kept(build, tokenizer, parallel, tmp_path):
    """Of a masked language model, which has no pooler; by another path to the same folder."""
    lines = parallel["aa"][:5]
    folder = tmp_path / "there" / "model"
    build("bert-mlm", len(tokenizer)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    kept_sentence_vectors(Encoder.load(folder, "aa"), lines, tmp_path / "kept")
    done = subprocess.run(
        [sys.executable, "-c", SECOND_RUN, json.dumps(lines)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0\n"
    assert done.stderr == ""


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [flip, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_altered_vectors_are_made_again(bert, parallel, tmp_path, count, harm):
    lines = parallel["aa"][:20]
    first = kept_sentence_vectors(bert, lines, tmp_path / "kept")
    harm(tmp_path / "kept" / "vectors.safetensors")
    np.testing.assert_array_equal(first, kept_sentence_vectors(bert, lines, tmp_path / "kept"))
    np.testing.assert_array_equal(first, kept_sentence_vectors(bert, lines, tmp_path / "kept"))
    assert len(count) == 2
