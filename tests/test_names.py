"""What may be called what, and how pairs are written and read."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from xling.errors import XlingError
from xling.names import (
    as_name,
    check_language,
    check_name,
    cut_dictionary,
    cut_pair,
    not_text,
    pair_languages,
    pair_name,
)

CODES = ["en", "zh-Hans", "sr-Latn", "pt-BR", "es-419", "eng_Latn", "en_inverted", "aa2", "язык"]
codes = st.sampled_from([*CODES, "zh", "Hans", "BR", "Latn"])


@pytest.mark.parametrize("code", [*CODES, "no", "nan", "007", "हिन्दी"])
def test_codes_of_languages(code):
    assert check_language(code) == code == check_name(code) == as_name(code)


@pytest.mark.parametrize(
    "code",
    [
        *(
            "",
            ".",
            "..",
            "../x",
            "/x",
            "a/b",
            "a\\b",
            "a b",
            "-x",
            "_x",
            "a$(b)",
            "`a`",
            "o'z",
            'a"b',
        ),
        *(
            "b{x}",
            "a;b",
            "a|b",
            "a&b",
            "a>b",
            "a:b",
            "a+b",
            "a\nb",
            "a\x00",
            "<b>",
            "a\u202eb",
            "=a",
        ),
        *("a" * 101, "é" * 51),
    ],
)
def test_what_is_no_name(code):
    for check in (check_language, check_name):
        with pytest.raises(XlingError) as caught:
            check(code)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 250
    assert check_name(as_name(code))


def test_only_languages_have_no_dots():
    assert check_name("v1.0") == "v1.0"
    with pytest.raises(XlingError, match=r"'en\.v1' is not a name of a language"):
        check_language("en.v1")


@given(st.lists(codes, min_size=2, max_size=5, unique=True))
def test_written_pairs_come_apart_again(languages):
    assert pair_languages(pair_name(languages)) == tuple(languages)
    assert cut_pair(pair_name(languages), ()) == tuple(languages) or not any(
        "-" in language for language in languages
    )


def test_pairs_without_hyphens_are_written_as_ever():
    assert pair_name(["aa", "near"]) == "aa-near"
    assert pair_name(["en", "fr", "ru"]) == "en-fr-ru"


@given(st.lists(codes, min_size=2, max_size=4, unique=True))
def test_cuts_are_those_of_a_search_over_all_of_them(languages):
    """Against trying every subset of the hyphens."""
    written, known = "-".join(languages), {"en", "zh", "zh-Hans", "Hans", "pt-BR", *languages}
    steps = written.split("-")
    found = set()
    for bits in range(1, 2 ** (len(steps) - 1)):
        cut = [steps[0]]
        for place, step in enumerate(steps[1:]):
            if bits >> place & 1:
                cut.append(step)
            else:
                cut[-1] += f"-{step}"
        if set(cut) <= known and len(set(cut)) == len(cut):
            found.add(tuple(cut))
    if len(found) == 1:
        assert cut_pair(written, known) == found.pop() == tuple(languages)
    else:
        with pytest.raises(XlingError, match="write the one that is meant as a list"):
            cut_pair(written, known)


def test_scripts_and_regions_belong_to_the_code_before_them():
    assert cut_pair("en-zh-Hans", ()) == ("en", "zh-Hans")
    assert cut_pair("zh-Hans-CN-pt-BR-es-419", ()) == ("zh-Hans-CN", "pt-BR", "es-419")
    assert cut_pair("en-fr-ru", ()) == ("en", "fr", "ru")


@pytest.mark.parametrize(
    ("name", "known", "cut"),
    [
        ("en-fr", (), ("en", "fr")),
        ("en-zh-Hans", ("en", "zh-Hans"), ("en", "zh-Hans")),
        ("zh-Hans-en", ("en", "zh", "zh-Hans"), ("zh-Hans", "en")),
        ("en-zh-Hans", ("en",), ("en", "zh-Hans")),
        ("zh-Hans-xx", ("zh", "zh-Hans"), ("zh-Hans", "xx")),
    ],
)
def test_dictionaries_are_cut_at_known_languages(name, known, cut):
    assert cut_dictionary(name, known) == cut


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("no", 'False, which is not text (quote it: "no")'),
        ("on", 'True, which is not text (quote it: "yes")'),
        ("null", "nothing, which is not text"),
        ("10", '10, which is not text but a number (quote what is written, e.g. "10")'),
        ("1.50", '1.5, which is not text but a number (quote what is written, e.g. "1.5")'),
        ("2024-05-01", '2024-05-01, which is not text but a date (quote what is written, e.g. "2'),
        ("en", None),
        ("'no'", None),
    ],
)
def test_what_yaml_does_not_read_as_text_is_shown_as_it_may_be_quoted(written, shown):
    found = not_text(yaml.safe_load(written))
    assert found is None if shown is None else found.startswith(shown)
    if found and "e.g." in found:  # following the advice gives text
        assert not_text(yaml.safe_load(found.split("e.g. ")[1].rstrip(")"))) is None
