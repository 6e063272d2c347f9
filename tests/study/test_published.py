"""The published table: whole, and its differences agree with its own rows."""

import numpy as np
import pytest

from xling.study.presets import presets
from xling.study.published import Disagreement, by_distance, corresponding, load_published


def test_the_table_is_whole_and_of_known_variants() -> None:
    published = load_published()
    assert len(published.variants) == 10
    assert set(published.variants) <= set(presets())
    assert published.score("sep-emb-L1-6", "parsing", "zh") == pytest.approx(0.015)
    assert published.score("sep-emb-L1-6", "parsing", "de") is None
    assert published.score("random", "parsing", "fr") is None


def test_printed_differences_follow_from_the_rows_but_for_rounding() -> None:
    assert list(load_published().disagreements()) == []


def test_seven_differences_need_the_rounding_of_scores_to_be_explained() -> None:
    """Beyond the rounding of the difference alone: by a tenth of a point at most, mostly NER."""
    found = list(load_published().disagreements(0.05))
    assert {(off.variant, off.task) for off in found} == {
        ("wiki-cc", "ner"),
        ("wiki-cc", "parsing"),
        ("no-anchors", "ner"),
        ("extra-anchors", "ner"),
        ("sep-L1-3", "ner"),
        ("sep-L1-6", "ner"),
        ("sep-emb-L1-3", "ner"),
    }
    assert max(abs(off.printed - off.recomputed) for off in found) < 0.1001


def test_a_wrong_difference_is_found() -> None:
    published = load_published()
    wrong = {**published.variants["no-anchors"], "nli": (72.1, 67.5, 67.7, -2.0)}
    changed = published.model_copy(update={"variants": {**published.variants, "no-anchors": wrong}})
    (found,) = changed.disagreements()
    assert isinstance(found, Disagreement)
    assert (found.variant, found.task, found.printed) == ("no-anchors", "nli", -2.0)
    assert found.recomputed == pytest.approx(-1.1)


def test_as_results_has_every_score_once() -> None:
    frame = load_published().as_results()
    key = ["variant", "pair", "probe"]
    assert len(frame) == 10 * 3 * 3 == len(frame.drop_duplicates(key))
    mean = frame[frame["variant"].eq("default") & frame["probe"].eq("transfer-nli")]["value"].mean()
    assert np.isclose(mean, (73.6 + 68.7 + 68.3) / 300)


def test_pairs_are_ordered_as_the_languages_they_stand_for() -> None:
    like = {"aa-b": "zh", "aa-c": "fr", "aa-d": "ru"}
    assert by_distance(["aa-b", "aa-c", "aa-d"], like) == ["aa-c", "aa-d", "aa-b"]
    assert by_distance(["aa-b", "aa-c", "aa-e"], like) == ["aa-b", "aa-c", "aa-e"]
    assert by_distance(["en-zh", "en-fr"], {}) == ["en-fr", "en-zh"]
    assert corresponding(["de-fr"], {}) == {}
