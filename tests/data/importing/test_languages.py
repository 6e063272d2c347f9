"""Codes of all kinds name one language once; another library's tables are the oracle."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xling.data.importing.languages import Tag, code_in, names_of, pair_in, parse_code, read_code
from xling.errors import XlingError

# Names of one language each: ISO 639-1, ISO 639-2 in both forms, ISO 639-3, BCP 47, with scripts.
SAME = [
    ("fr", "fra", "fre", "fr-FR", "fra_Latn", "FRA", "fr_FR"),
    ("zh", "zho", "chi", "cmn", "zh-CN", "zho_Hans", "zh-Hans-CN", "cmn_Hans"),
    ("zh-Hant", "zho_Hant", "zh-TW", "cmn-Hant"),
    ("he", "iw", "heb"),
    ("ar", "arb_Arab", "ara"),
    ("sw", "swh_Latn", "swa"),
    ("sr", "srp_Cyrl", "scc"),
    ("sr-Latn", "srp_Latn"),
    ("yue", "yue_Hant"),
]


@pytest.mark.parametrize("codes", SAME, ids=lambda codes: codes[0])
def test_all_codes_of_a_language_are_one(codes):
    assert len({parse_code(code)[:2] for code in codes}) == 1


def test_different_languages_are_different():
    found = [parse_code(codes[0])[:2] for codes in SAME]
    assert len(set(found)) == len(found)


def test_two_letter_codes_agree_with_another_list():
    from transformers.models.whisper.tokenization_whisper import LANGUAGES

    for code in LANGUAGES:
        if len(code) == 2:
            assert parse_code(code).language in (code, {"jw": "jv", "tl": "fil"}.get(code, code)), (
                code
            )


@pytest.mark.parametrize(
    "word", ["train", "test", "dev", "news", "wiki", "europarl", "v1", "2020", "the", "txt", ""]
)
def test_usual_words_in_names_are_no_codes(word):
    assert code_in(word) is None


def test_the_languages_of_flores_stay_apart():
    from transformers.models.nllb.tokenization_nllb import FAIRSEQ_LANGUAGE_CODES

    tags = {code: parse_code(code) for code in FAIRSEQ_LANGUAGE_CODES}
    assert None not in tags.values()
    assert len(tags) > 200
    assert len(set(names_of(tags.values()).values())) == len(tags)
    for code, tag in tags.items():
        assert code.endswith(tag.script), code


def test_pairs_in_names():
    def codes(piece):
        pair = pair_in(piece)
        return pair and tuple(tag.language for tag in pair)

    assert codes("en-fr") == ("en", "fr")
    assert codes("eng_Latn-zho_Hant") == ("en", "zh")
    assert codes("zh-Hans-en") == ("zh", "en")
    assert codes("0-5000") is None
    assert codes("en-en") is None


CODES = ["fr", "fra", "fra_Latn", "fr-CA", "zh", "zho_Hans", "zh-TW", "sr", "srp_Latn", "en", "eng"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(CODES), min_size=1), st.lists(st.sampled_from(["fr", "sr-Latn"])))
def test_one_folder_per_language_and_one_language_per_folder(codes, present):
    tags = [parse_code(code) for code in codes]
    names = names_of(tags, present)
    assert set(names) == set(tags)
    for one, other in itertools.combinations(names, 2):
        # Only two scripts or two regions of a language are two folders.
        assert names[one] != names[other] or one == other
        assert one[:2] != other[:2] or one.region != other.region
    for tag, name in names.items():
        assert parse_code(name)[:2] == tag[:2], "a name means its language again"
        for there in present:
            if parse_code(there)[:2] == tag[:2] and not tag.region:
                assert name == there


def test_scripts_are_named_where_they_are_unusual_or_two_meet():
    sr, latin = parse_code("sr"), parse_code("srp_Latn")
    assert names_of([sr])[sr] == "sr"
    assert names_of([latin])[latin] == "sr-Latn"
    assert names_of([sr, latin]) == {sr: "sr-Cyrl", latin: "sr-Latn"}
    assert names_of([latin], ["sr-Cyrl"])[latin] == "sr-Latn"
    assert names_of([parse_code("eng")], ["eng_Latn"])[parse_code("eng")] == "eng_Latn"


def test_a_code_of_one_s_own_is_a_name_as_it_is():
    assert read_code("xq_mine") == Tag("xq_mine", "")
    with pytest.raises(XlingError, match="is not a name of a language"):
        read_code("../en")
