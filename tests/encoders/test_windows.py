"""Windows: no word is lost or cut off from its tokens, whatever the tokenizer and the limit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from xling.encoders.encoder import Encoder
from xling.encoders.encoders import Encoders
from xling.encoders.windows import _longest_first, _split, pair_windows, text_windows, word_windows
from xling.errors import XlingError

LONG = "tkaidmolfargseh" * 5
SENTENCES = [
    ["the", "mira", "goes"],
    ["toma"],
    ["big", "dorfdorfdorf", ",", "(", "kalt", ")"],
    ["中国", "人", "mira", "大"],
    ["1 000", "goes"],
    ["the"] * 60,
    ["kalt" * 30, "and"],
]


class _Model:
    """What `Encoder` asks of a model to know its limit."""

    class config:  # noqa: N801
        max_position_embeddings = 24

    base_model = None


def byte_level() -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["[PAD]", "[CLS]", "[SEP]"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(s) for s in SENTENCES], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 1), ("[SEP]", 2)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )


@pytest.fixture(scope="module", params=["family", "byte-level"])
def encoder(request, model) -> Encoder:
    if request.param == "family":
        return Encoders.load(model, ["aa"]).of["aa"]
    return Encoder("aa", _Model, byte_level())


def rows(windows, sentence):
    for row in range(windows.sentence_rows[sentence], windows.sentence_rows[sentence + 1]):
        yield windows.ids[windows.starts[row] : windows.starts[row + 1]].tolist()


def test_a_sentence_that_fits_is_what_running_text_gives(encoder):
    windows = word_windows(encoder, SENTENCES)
    for number in range(4):
        expected = encoder.tokenizer(" ".join(SENTENCES[number]))["input_ids"]
        assert list(rows(windows, number)) == [expected]


def test_words_begin_where_the_tokenizer_says(model):
    encoder = Encoders.load(model, ["aa"]).of["aa"]
    windows = word_windows(encoder, SENTENCES[:4])
    for number, words in enumerate(SENTENCES[:4]):
        encoded = encoder.tokenizer(words, is_split_into_words=True).word_ids()
        first = [encoded.index(word) for word in range(len(words))]
        mine = windows.word_tokens[windows.word_starts[number] : windows.word_starts[number + 1]]
        start = windows.starts[windows.sentence_rows[number]]
        assert (mine - start).tolist() == first


def test_every_word_has_a_token_in_a_window_of_its_sentence(encoder):
    windows = word_windows(encoder, SENTENCES)
    assert windows.lengths.max() <= encoder.maximum_length
    assert np.diff(windows.word_starts).tolist() == [len(words) for words in SENTENCES]
    assert (np.diff(windows.word_tokens) > 0).all()
    assert not windows.special[windows.word_tokens].any()
    rows_of_words = np.searchsorted(windows.starts, windows.word_tokens, side="right") - 1
    sentences = np.searchsorted(windows.sentence_rows, rows_of_words, side="right") - 1
    assert sentences.tolist() == np.repeat(range(7), [len(w) for w in SENTENCES]).tolist()
    assert len(list(rows(windows, 5))) > 1


def test_a_word_longer_than_a_window_keeps_its_beginning(encoder):
    windows = word_windows(encoder, [[LONG, "and"]])
    first, second = rows(windows, 0)
    whole = encoder.tokenizer(LONG)["input_ids"]
    assert len(whole) > encoder.maximum_length == len(first)
    assert first[:-1] == whole[: encoder.maximum_length - 1]
    assert windows.truncated == 1
    assert len(second) < len(first)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_word_that_just_fits_is_whole_and_the_next_begins_a_window(encoder, over):
    """Of as many tokens as a window has room for, one fewer or one more."""

    def tokens(word: str) -> list[int]:
        return encoder.tokenizer(word)["input_ids"][1:-1]

    room = encoder.maximum_length - 2
    letters = "☃" if encoder.tokenizer.unk_token_id is None else "q"
    word = next(w for n in range(1, 200) if len(tokens(w := LONG[:n] + letters)) >= room + over)
    assert len(tokens(word)) == room + over
    windows = word_windows(encoder, [[word, LONG[:9]], [word]])
    assert windows.truncated == 2 * (over > 0)
    first, second = (list(rows(windows, number)) for number in range(2))
    assert [row[1:-1] for row in second] == [tokens(word)[:room]]
    assert first[0] == second[0]
    assert [row[1:-1] for row in first[1:]] == [tokens(f"{word} {LONG[:9]}")[room + over :]]
    assert windows.lengths.max() == min(encoder.maximum_length, room + over + 2)


def test_a_word_that_the_tokenizer_drops_is_unknown(model):
    encoder = Encoders.load(model, ["aa"]).of["aa"]
    windows = word_windows(encoder, [["the", "\u200d", "goes"], ["\u0007"]])
    assert np.diff(windows.word_starts).tolist() == [3, 1]
    assert len(set(windows.word_tokens.tolist())) == 4


def test_a_sentence_without_words_is_an_error(encoder):
    with pytest.raises(XlingError, match="sentence 2 has no words"):
        word_windows(encoder, [["the"], []])


def test_long_texts_lose_nothing(encoder):
    text = " ".join(SENTENCES[5])
    windows = text_windows(encoder, [text, "the"])
    ids = [i for row in rows(windows, 0) for i in row[1:-1]]
    assert ids == encoder.tokenizer(text)["input_ids"][1:-1]
    assert windows.lengths.max() <= encoder.maximum_length


def test_a_word_of_running_text_longer_than_two_windows_loses_nothing(encoder):
    windows = text_windows(encoder, [LONG * 3])
    parts = [row[1:-1] for row in rows(windows, 0)]
    whole = encoder.tokenizer(LONG * 3)["input_ids"][1:-1]
    assert [i for part in parts for i in part] == whole
    assert len(parts) == -(-len(whole) // (encoder.maximum_length - 2)) > 2
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_pairs_are_the_tokenizers_own(encoder):
    pairs = [("the mira", "goes"), ("the " * 40, "kalt"), ("toma", "big " * 40)]
    windows = pair_windows(encoder, pairs)
    found = [next(rows(windows, number)) for number in range(3)]
    assert found[0] == encoder.tokenizer(*pairs[0])["input_ids"]
    for pair, row in zip(pairs[1:], found[1:], strict=True):
        cut = encoder.tokenizer(
            *pair, truncation="longest_first", max_length=encoder.maximum_length
        )
        assert row == cut["input_ids"]
    assert windows.truncated == 2


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 12).flatmap(
        lambda room: st.tuples(st.just(room), st.lists(st.integers(1, room), max_size=30))
    )
)
def test_windows_are_a_partition_into_as_few_as_can_be(case):
    room, counts = case
    windows = _split(np.array(counts, dtype=np.int64), room)
    assert [word for a, b in windows for word in range(a, b)] == list(range(len(counts)))
    sizes = [sum(counts[a:b]) for a, b in windows]
    assert all(0 < size <= room for size in sizes)
    greedy, filled = 0, room + 1
    for count in counts:
        greedy, filled = (greedy + 1, count) if filled + count > room else (greedy, filled + count)
    assert len(windows) == greedy


@given(st.integers(0, 40), st.integers(0, 40), st.integers(2, 30))
def test_the_longer_side_of_a_pair_is_cut(a, b, room):
    first, second = _longest_first(a, b, room)
    assert first <= a
    assert second <= b
    assert first + second == min(a + b, room)
    assert (
        (first == a and second == b)
        or abs(first - second) <= 1
        or ((first == a and a < second) or (second == b and b < first))
    )
