"""The stage as a whole: what it writes, for Hugging Face and for the other stages."""

import json
import re
import shutil

import numpy as np
import pytest

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.vocabulary.bpe import SPECIAL_TOKENS
from xling.vocabulary.build import VocabularyConfig, build_vocabulary
from xling.vocabulary.vocabulary import Vocabulary

KINDS = ("joint", "union", "disjoint", "separate")


def encode(vocabulary, language, line):
    return vocabulary.tokenizer(language).encode(line, add_special_tokens=False).ids


@pytest.mark.parametrize("kind", KINDS)
def test_hugging_face_opens_every_language_with_the_same_ids(build, lines, kind):
    from transformers import AutoTokenizer

    vocabulary = build(kind, 240)
    for language in vocabulary.languages:
        opened = AutoTokenizer.from_pretrained(vocabulary.folder(language))
        assert len(opened) == vocabulary.sizes[language]
        assert opened.convert_tokens_to_ids([*SPECIAL_TOKENS]) == [*vocabulary.special_ids]
        assert opened.mask_token_id == vocabulary.special_ids.mask
        for line in [*lines(language)[:50], "☃ e\u0301 (baba)", ""]:
            assert opened(line).input_ids == vocabulary.tokenizer(language).encode(line).ids
        assert all(opened.decode([number]) is not None for number in range(len(opened)))


def test_hugging_face_opens_it_beside_a_bert_config_with_its_length(build, tmp_path):
    from transformers import AutoTokenizer, BertConfig

    vocabulary = build()
    vocabulary.export("aa", tmp_path, max_length=9)
    BertConfig(vocab_size=vocabulary.size).save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    ids = opened("baba kaka " * 9, truncation=True).input_ids
    assert len(ids) == 9
    assert ids[:-1] == vocabulary.tokenizer("aa").encode("baba kaka " * 9).ids[:8]


@pytest.mark.parametrize("size", [5, 10**9])
def test_a_size_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match="size"):
        VocabularyConfig(size=size)


def test_joint_is_one_vocabulary_of_the_size_asked(build):
    vocabulary = build("joint", 120)
    assert vocabulary.size == 120
    line = "taxi kaki, 12 (zaza) baba"
    assert encode(vocabulary, "aa", line) == encode(vocabulary, "bb", line)
    for language in vocabulary.languages:
        assert (vocabulary.own_ids(language) == np.arange(5, 120)).all()


def test_union_merges_identical_spelling_and_nothing_else(build, lines):
    vocabulary, apart = build("union", 240), build("disjoint", 240)
    assert 120 < vocabulary.size < apart.size
    spelled = {
        language: {apart.tokens(language)[number] for number in apart.own_ids(language)}
        for language in apart.languages
    }
    assert vocabulary.size == 5 + len(spelled["aa"] | spelled["bb"])
    assert len(set(vocabulary.tokens("aa"))) == vocabulary.size
    for language in vocabulary.languages:
        for line in lines(language)[:50]:
            united = [vocabulary.tokens(language)[n] for n in encode(vocabulary, language, line)]
            assert united == [apart.tokens(language)[n] for n in encode(apart, language, line)]


def test_disjoint_shares_only_special_tokens(build, lines):
    vocabulary = build("disjoint", 240)
    assert vocabulary.size == 5 + 2 * 115
    assert (vocabulary.own_ids("aa") == np.arange(5, 120)).all()
    assert (vocabulary.own_ids("bb") == np.arange(120, 235)).all()
    for line in ["taxi, 12", *lines("aa")[:20]]:
        a, b = (set(encode(vocabulary, language, line)) for language in ("aa", "bb"))
        assert a & b <= {vocabulary.special_ids.unk}
    # Even text that spells another language's entry does not reach it.
    hidden = vocabulary.tokenizer("aa").id_to_token(130)
    assert hidden.startswith("bb:")
    assert max(encode(vocabulary, "aa", hidden)) < 120


def test_separate_gives_each_language_ids_from_zero(build, lines):
    vocabulary, apart = build("separate", 240), build("disjoint", 240)
    assert vocabulary.sizes == {"aa": 120, "bb": 120}
    assert (vocabulary.size, vocabulary.entries) == (120, 235) == (120, apart.entries)
    assert not vocabulary.has_one_space
    for language, offset in (("aa", 0), ("bb", 115)):
        assert (vocabulary.own_ids(language) == np.arange(5, 120)).all()
        # Text is cut as in the disjoint vocabulary: only the numbers differ.
        for line in lines(language)[:50]:
            ids = np.array(encode(vocabulary, language, line))
            assert (encode(apart, language, line) == ids + offset * (ids >= 5)).all()
            tokens = vocabulary.tokens(language)
            assert [tokens[n] for n in ids] == [
                vocabulary.tokenizer(language).id_to_token(n) for n in ids
            ]
    # One and the same id stands for different tokens.
    assert vocabulary.tokens("aa")[:5] == vocabulary.tokens("bb")[:5] == [*SPECIAL_TOKENS]
    assert vocabulary.tokens("aa") != vocabulary.tokens("bb")


def test_the_size_is_that_of_all_languages(build):
    sizes = {kind: build(kind, 240) for kind in KINDS}
    assert sizes["joint"].entries == 240
    assert sizes["disjoint"].entries == sizes["separate"].entries == 240 - 5
    assert 120 < sizes["union"].entries < 240 - 5


@pytest.mark.parametrize("kind", KINDS)
def test_own_ids_are_all_the_tokenizer_can_emit(build, lines, kind):
    vocabulary = build(kind, 240)
    for language in vocabulary.languages:
        emitted = {n for line in lines(language) for n in encode(vocabulary, language, line)}
        own = vocabulary.own_ids(language).tolist()
        assert emitted <= set(own)
        assert min(own) == 5 or kind == "disjoint"
        # Each is spelled as text is: none is another language's, out of reach.
        for number in own:
            spelled = vocabulary.tokenizer(language).id_to_token(number)
            assert ":" not in spelled
            assert spelled == vocabulary.tokens(language)[number]


def test_word_starts_count_words(build, lines):
    vocabulary = build("joint", 120)
    line = "taxi, (baba) 12 kaki"
    assert vocabulary.word_starts("aa")[encode(vocabulary, "aa", line)].sum() == 7
    assert not vocabulary.word_starts("aa")[:5].any()


def test_chinese_tokens_are_words(build):
    vocabulary = build("joint", 80, "aa zh")
    ids = encode(vocabulary, "zh", "语言是国家")
    assert vocabulary.word_starts("zh")[ids].all()
    assert len(ids) < 5


def test_text_that_names_a_special_token_is_text(build):
    vocabulary = build()
    ids = encode(vocabulary, "aa", "baba [MASK] [SEP]")
    assert vocabulary.special_ids.mask not in ids
    assert vocabulary.special_ids.sep not in ids


def test_rare_characters_become_unknown_and_are_recorded(tmp_path, data):
    root = tmp_path / "data"
    shutil.copytree(data.root, root)
    with open(root / "text" / "wiki" / "aa.txt", "a", encoding="utf-8") as file:
        file.write("ba☃ba\n")
    config = VocabularyConfig(size=100, coverage=0.9999)
    build_vocabulary(DataFolder(root), {"aa": ["wiki"]}, config, tmp_path / "v")
    vocabulary = Vocabulary.load(tmp_path / "v")
    assert vocabulary.special_ids.unk in encode(vocabulary, "aa", "☃")
    assert vocabulary.special_ids.unk not in encode(vocabulary, "aa", "taxi, baba")
    record = json.loads((tmp_path / "v" / "vocabulary.json").read_text())
    assert record["languages"]["aa"]["commonest left out"] == "☃"


def test_second_run_changes_nothing_and_new_settings_replace(data, tmp_path):
    out = tmp_path / "v"
    text = {"aa": ["wiki", "web:first-half"]}
    build_vocabulary(data, text, VocabularyConfig(size=100), out)
    before = {path: path.stat().st_ino for path in out.rglob("*")}
    content = (out / "aa" / "tokenizer.json").read_bytes()
    build_vocabulary(data, text, VocabularyConfig(size=100), out)
    assert {path: path.stat().st_ino for path in out.rglob("*")} == before
    build_vocabulary(data, text, VocabularyConfig(size=101), out)
    assert Vocabulary.load(out).size == 101
    shutil.rmtree(out)
    build_vocabulary(data, text, VocabularyConfig(size=100), out)
    assert (out / "aa" / "tokenizer.json").read_bytes() == content


@pytest.mark.parametrize(
    ("text", "config", "message"),
    [
        (
            {"aa": ["wiki"]},
            {"size": 100_000},
            "100000 is larger than can be learned.*supports [0-9]+",
        ),
        ({"aa": ["wiki"]}, {"size": 10}, "cannot hold the [0-9]+ characters"),
        ({"xx": ["wiki"]}, {"size": 100}, "wiki/xx.txt.*not found"),
        ({"aa": ["news"]}, {"size": 100}, "news/aa.txt.*the domains are web, wiki"),
        ({"aa": []}, {"size": 100}, "aa: no text selected"),
        ({"xx": []}, {"size": 100}, "no text in xx; the data has aa"),
        ({}, {"size": 100}, "no language selected"),
    ],
)
def test_impossible_requests_say_what_to_do(data, tmp_path, text, config, message):
    with pytest.raises(XlingError, match=message):
        build_vocabulary(data, text, VocabularyConfig(**config), tmp_path / "v")
    assert not (tmp_path / "v").exists()


def test_the_size_named_as_the_limit_can_be_learned(data, tmp_path):
    with pytest.raises(XlingError) as caught:
        build_vocabulary(data, {"aa": ["wiki"]}, VocabularyConfig(size=9999), tmp_path / "v")
    limit = int(re.search(r"at most (\d+)", str(caught.value))[1])
    build_vocabulary(data, {"aa": ["wiki"]}, VocabularyConfig(size=limit), tmp_path / "v")
    assert Vocabulary.load(tmp_path / "v").size == limit


def test_empty_text_is_named(tmp_path):
    path = tmp_path / "text" / "wiki" / "aa.txt"
    path.parent.mkdir(parents=True)
    path.write_text("\n  \n\n")
    with pytest.raises(XlingError, match=r"wiki/aa\.txt: no text"):
        build_vocabulary(
            DataFolder(tmp_path), {"aa": ["wiki"]}, VocabularyConfig(size=99), tmp_path / "v"
        )


def test_damaged_or_missing_vocabulary_is_named(build, tmp_path):
    with pytest.raises(XlingError, match=r"vocabulary\.json: not found"):
        Vocabulary.load(tmp_path)
    shutil.copytree(build().path, tmp_path / "v")
    (tmp_path / "v" / "aa" / "tokenizer.json").write_text("{")
    vocabulary = Vocabulary.load(tmp_path / "v")
    with pytest.raises(XlingError, match=r"aa/tokenizer\.json: was altered or truncated"):
        vocabulary.tokenizer("aa")
    (tmp_path / "v" / "artefact.json").unlink()  # as older versions wrote it, without its files
    with pytest.raises(XlingError, match=r"aa/tokenizer\.json: not a tokenizer"):
        vocabulary.tokenizer("aa")
    with pytest.raises(XlingError, match="no vocabulary of cc, only of aa, bb"):
        vocabulary.tokenizer("cc")
