"""Which subwords are a word's, and which is the first with text: one rule for all tokenizers.

They are learnt here; the oracle asks them for one word at a time, which is not how xling does.
"""

import numpy as np
import pytest
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

from xling.encoders.encoder import Encoder
from xling.encoders.windows import word_windows
from xling.encoders.words import tokenise_words
from xling.vocabulary.bpe import BPE, SPECIAL_TOKENS, assemble, learn

SPECIAL = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
LINES = [
    "the mira goes to the dorf and the toma is kalt",
    "le chat dort sur le tapis . il pleut encore , nous verrons",
    "中国 人 大 中 国 大人 中国人 人大",
    "東京 に 行く 東 京 行 く に東京",
    "мир дом кот мир дом",
] * 5
SENTENCES = [
    ["中国", "人", "mira", "大人"],
    ["東京", "に", "行く", "東京"],
    ["人"],
    ["mira中国", "дом大mira", "к東"],
    ["e\u0301a", "\u0301b", "chat\u0308"],
    ["☃"],
    ["the", "☃☃", "☃dorf", "中☃"],
    ["(", "mira", ")", "、", "中国", "。"],
]


class _Model:
    """What `Encoder` asks of a model to know its limit."""

    class config:  # noqa: N801
        max_position_embeddings = 128

    base_model = None


def finished(tokenizer: Tokenizer, trainer) -> Encoder:
    tokenizer.train_from_iterator(LINES, trainer)
    frame = [("[CLS]", 1), ("[SEP]", 2)]
    template = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=frame)
    last = tokenizer.post_processor
    both = [last, template] if last is not None else [template]
    tokenizer.post_processor = processors.Sequence(both)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
    )
    return Encoder("xx", _Model, fast)


def unigram(*before, decoder=True) -> Encoder:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, pre_tokenizers.Metaspace()])
    if decoder:
        tokenizer.decoder = decoders.Metaspace()
    options = {"vocab_size": 90, "special_tokens": SPECIAL, "unk_token": "[UNK]"}
    return finished(tokenizer, trainers.UnigramTrainer(show_progress=False, **options))


def word_piece() -> Encoder:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(handle_chinese_chars=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    options = {"vocab_size": 110, "special_tokens": SPECIAL}
    return finished(tokenizer, trainers.WordPieceTrainer(show_progress=False, **options))


def byte_level(trim: bool) -> Encoder:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=trim)
    options = {"vocab_size": 280, "special_tokens": SPECIAL}
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(initial_alphabet=alphabet, show_progress=False, **options)
    return finished(tokenizer, trainer)


KINDS = {
    "unigram": unigram,
    "unigram without white space": lambda: unigram(pre_tokenizers.WhitespaceSplit()),
    "unigram without a decoder": lambda: unigram(decoder=False),
    "word pieces": word_piece,
    "bytes": lambda: byte_level(trim=False),
    "bytes, trimmed": lambda: byte_level(trim=True),
}


@pytest.fixture(scope="module", params=KINDS)
def encoder(request) -> Encoder:
    return KINDS[request.param]()


def pieces(encoder: Encoder, words: list[str]) -> list[list[tuple[int, bool]]]:
    """For each word its tokens as (place in the line, whether it has text): a word at a time."""
    backend, found, before = encoder.tokenizer.backend_tokenizer, [], 0
    ids = backend.encode(" ".join(words), add_special_tokens=False).ids
    for number in range(len(words)):
        # A further word adds its own tokens and changes none of those before.
        part = backend.encode(" ".join(words[: number + 1]), add_special_tokens=False)
        assert part.ids == ids[: len(part.ids)]
        strings = part.tokens[before:]
        found.append([(before + i, bool(s.strip("▁Ġ"))) for i, s in enumerate(strings)])
        before = len(part.ids)
    return found


@pytest.mark.parametrize("words", SENTENCES)
def test_words_are_read_at_the_first_subword_with_text(encoder, words):
    expected = []
    for tokens in pieces(encoder, words):
        with_text = [place for place, text in tokens if text]
        expected.append((with_text or [place for place, _ in tokens] or [None])[0])
    windows = word_windows(encoder, [words])
    assert len(windows.word_tokens) == len(words)
    known = [number for number, place in enumerate(expected) if place is not None]
    if len(known) == len(words):
        assert (windows.word_tokens - 1).tolist() == expected
    else:  # what the tokenizer leaves nothing of is the unknown token, read where it stands
        left = [number for number in range(len(words)) if number not in known]
        assert (windows.ids[windows.word_tokens[left]] == encoder.tokenizer.unk_token_id).all()


@pytest.mark.parametrize("words", SENTENCES)
def test_a_words_vector_is_of_all_its_subwords_with_text(encoder, words):
    tokens = tokenise_words(encoder, [words, ["the"], [], words])
    for line in (0, 3):
        start = tokens.sentences.starts[line] + 1
        first = tokens.starts[line]
        for number, expected in enumerate(pieces(encoder, words)):
            found = np.flatnonzero(tokens.word_of == first + number) - start
            assert found.tolist() == [place for place, text in expected if text]


def test_the_kinds_cut_a_mark_of_white_space_off():
    """Without this the tests above could not fail."""
    for kind in ("unigram", "unigram without white space", "bytes"):
        cut = [
            tokens[0]
            for words in SENTENCES
            for tokens in pieces(KINDS[kind](), words)
            if len(tokens) > 1
        ]
        assert any(not text for _, text in cut), kind


def test_xlings_own_vocabularies_are_read_at_the_first_subword_as_ever():
    """There the mark opens every word as a letter would, and models have learnt to be read so."""
    alphabet = ["▁", *sorted({sign for line in LINES for sign in line if sign != " "})]
    tokens, merges = learn(iter([LINES]), 120, alphabet)
    bpe = BPE(tokens, merges)
    tokenizer = assemble({token: i for i, token in enumerate(bpe.tokens)}, bpe.merges)
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    names = dict(zip(roles, SPECIAL_TOKENS, strict=True))
    encoder = Encoder("xx", _Model, PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names))
    bare = 0
    for words in [*SENTENCES, ["zebra", "dorf", "q", "kkk"]]:
        expected = [tokens[0][0] for tokens in pieces(encoder, words)]
        assert (word_windows(encoder, [words]).word_tokens - 1).tolist() == expected
        of_words = tokenise_words(encoder, [words])
        parts = [[place for place, _ in tokens] for tokens in pieces(encoder, words)]
        for number, part in enumerate(parts):
            assert (np.flatnonzero(of_words.word_of == number) - 1).tolist() == part
        bare += sum(not tokens[0][1] for tokens in pieces(encoder, words))
    assert bare > 0, "a word that begins with a bare mark must be among them"
