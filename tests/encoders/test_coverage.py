"""What is cut off or unknown is said once a set, with figures, where it is a noticeable share."""

import warnings

import numpy as np
import pytest

from xling.encoders.coverage import Coverage, CoverageWarning, coverage_of, warn_of_lost_text
from xling.encoders.encoder import Encoder


def said(*seen: Coverage) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_lost_text("talks", seen)
    assert all(issubclass(warning.category, CoverageWarning) for warning in caught)
    return [str(warning.message) for warning in caught]


def test_small_losses_are_not_worth_a_line():
    assert said(Coverage("en", 1000, 49, 5000, 250), Coverage("fr", 0, 0, 0, 0)) == []


def test_one_line_for_each_kind_names_languages_and_figures():
    both = said(Coverage("en", 1000, 657, 5000, 0), Coverage("zh", 1000, 50, 4000, 1200))
    assert both == [
        "talks: truncated 657 of 1,000 lines in en (66%), 50 of 1,000 lines in zh (5%) at the "
        "model's limit of positions; scores are of what is left",
        "talks: unknown to the tokenizer are 1,200 of 4,000 tokens in zh (30%); scores say little "
        "about such text",
    ]


def test_counts_are_those_of_the_tokenizer(build, tokenizer, parallel):
    encoder = Encoder("aa", build("bert", len(tokenizer), 0, 12), tokenizer)
    lines = [*parallel["aa"], "☃ ☃☃"]
    rows = tokenizer(lines)["input_ids"]
    kept = [row if len(row) <= 12 else row[:11] + row[-1:] for row in rows]
    ordinary = np.concatenate([row[1:-1] for row in kept])
    expected = Coverage(
        "aa",
        len(lines),
        sum(len(row) > 12 for row in rows),
        len(ordinary),
        int((ordinary == tokenizer.unk_token_id).sum()),
    )
    assert coverage_of(encoder, lines) == expected
    assert expected.truncated
    assert expected.unknown == 3


def test_a_tokenizer_that_knows_all_text_has_nothing_unknown(build, tokenizer, monkeypatch):
    encoder = Encoder("aa", build("bert", len(tokenizer), 0, 12), tokenizer)
    monkeypatch.setattr(type(tokenizer), "unk_token_id", None, raising=False)
    assert coverage_of(encoder, ["☃"]).unknown == 0


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_a_share_at_the_bound_of_lines_counts(share):
    assert len(said(Coverage("en", 100, int(100 * share), 100, 5))) == 1
