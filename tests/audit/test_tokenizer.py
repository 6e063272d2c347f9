"""The second tokenisation: the same text in other pieces of the same vocabulary."""

import numpy as np
import pytest
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from xling.audit.config import AuditSettings
from xling.audit.measure import measure
from xling.audit.subjects import Subject
from xling.audit.tokenizer import recut
from xling.audit.vectors import Vectors
from xling.encoders.encoder import Encoder
from xling.encoders.sentences import tokenise
from xling.measures.tiles import TIES

from .conftest import SPECIAL, aligned_model, word_tokenizer

WORDS = "the cat sat on a mat and thereafter catered matters of satin hatters über жизнь"
LINES = [f"{WORDS} {i} the cat" for i in range(30)]


def subword_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    named = {"special_tokens": SPECIAL, "show_progress": False, "vocab_size": 330}
    if kind == "bpe":
        backend = Tokenizer(models.BPE(unk_token="[UNK]"))
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
        trainer = trainers.BpeTrainer(**named)
    elif kind == "suffixed":  # as XLM and GPT-1
        backend = Tokenizer(models.BPE(unk_token="[UNK]", end_of_word_suffix="</w>"))
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        backend.decoder = decoders.BPEDecoder()
        trainer = trainers.BpeTrainer(**named, end_of_word_suffix="</w>")
    elif kind == "bytes":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        backend.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(**named, initial_alphabet=alphabet)
    elif kind == "unigram":
        backend = Tokenizer(models.Unigram())
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(**{**named, "vocab_size": 120}, unk_token="[UNK]")
    else:
        backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        backend.normalizer = normalizers.Lowercase()
        backend.pre_tokenizer = pre_tokenizers.Whitespace()
        backend.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(**named)
    backend.train_from_iterator(LINES, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{name[1:-1].lower()}_token": name for name in SPECIAL}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def wide_model(tokenizer):
    model = aligned_model()
    with torch.random.fork_rng(devices=[]):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return model


def rows_of(sentences):
    return [row.tolist() for row in np.split(sentences.ids, sentences.starts[1:-1])]


@pytest.mark.parametrize("kind", ["bpe", "suffixed", "bytes", "unigram", "wordpiece"])
def test_other_pieces_say_the_same_letters(kind):
    tokenizer = subword_tokenizer(kind)
    encoder = Encoder("en", wide_model(tokenizer), tokenizer)
    encoder.model.config.max_position_embeddings = 500
    sentences = tokenise(encoder, LINES)
    cut, numbers = recut(encoder, sentences)
    assert numbers.tolist() == list(range(len(LINES)))
    backend = tokenizer.backend_tokenizer
    for before, after in zip(rows_of(sentences), rows_of(cut), strict=True):
        assert before != after
        assert len(before) < len(after) <= 2 * len(before)
        assert (after[0], after[-1]) == (2, 3)
        assert backend.decode(after) == backend.decode(before)
    again, _ = recut(encoder, sentences)
    np.testing.assert_array_equal(cut.ids, again.ids)
    other, _ = recut(encoder, sentences, seed=1)
    assert rows_of(other) != rows_of(cut)
    grown = (cut.lengths.sum() - sentences.lengths.sum()) / sentences.lengths.sum()
    assert 0.03 < grown < 0.25  # a quarter of the pieces, if all can be cut


def test_a_prefix_and_long_lines_stay_as_they_are():
    tokenizer = subword_tokenizer("bpe")
    encoder = Encoder("en", wide_model(tokenizer), tokenizer)
    encoder.model.config.max_position_embeddings = 500
    prefix = len(tokenise(encoder, ["catered matters"]).ids) - 2
    sentences = tokenise(encoder, LINES, "catered matters ")
    cut, _ = recut(encoder, sentences, prefix)
    assert {tuple(row[: prefix + 1]) for row in rows_of(cut)} == {
        tuple(rows_of(sentences)[0][: prefix + 1])
    }
    encoder.model.config.max_position_embeddings = int(cut.lengths.min())
    some, numbers = recut(encoder, sentences, prefix)
    assert 0 < len(numbers) < len(LINES)
    assert some.lengths.max() <= cut.lengths.min()


def test_whole_words_have_no_other_pieces(lines):
    encoder = Encoder("en", aligned_model(), word_tokenizer())
    _, numbers = recut(encoder, tokenise(encoder, lines["en"]))
    assert not len(numbers)


def test_the_ceiling_is_that_of_lines_cut_otherwise_among_all(tmp_path):
    tokenizer = subword_tokenizer("unigram")
    model = wide_model(tokenizer)
    words = WORDS.split()
    random = np.random.default_rng(0)
    lines = [" ".join(random.choice(words, size=6)) for _ in range(120)]
    texts = {"en": lines, "xx": lines[::-1]}
    encoders = {code: Encoder(code, model, tokenizer) for code in texts}
    settings = AuditSettings(resamples=50, untrained_seeds=())
    subject = Subject.of_encoders("small", encoders)
    measured = measure(subject, texts, "talks", settings, tmp_path)
    found = [score for score in measured.others if score.condition == "ceiling"]
    assert {(score.layer, score.metric) for score in found} == {
        (layer, metric) for layer in range(3) for metric in ("p@1", "p@1-centred")
    }
    cut = Vectors(tmp_path / "small/trained/en.recut")
    chosen = np.linspace(0, 119, 100).astype(int)
    for layer in range(3):
        X, whole = cut.at(layer), measured.vectors["en"].at(layer)
        units = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (X, whole)]
        cosine = units[0].astype(np.float64) @ units[1].T
        (score,) = [s for s in found if (s.layer, s.metric) == (layer, "p@1")]
        hits = []
        for row, number in zip(cosine, chosen, strict=True):
            tied = row >= row.max() - TIES["float32"]
            hits.append(tied[number] / tied.sum())
        assert score.value == pytest.approx(np.mean(hits), abs=1e-9)
        assert score.n == 100
        assert score.low <= score.value <= score.high
    assert 0.02 < min(score.value for score in found) < 1
