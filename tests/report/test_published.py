"""The published table: whole, and its differences agree with its own rows."""

import numpy as np
import pytest

from xling.report.published import by_distance, corresponding, load_published
from xling.study.presets import presets

# Three scores and the reference's three, each rounded to a tenth, and the printed difference too.
ROUNDING = 0.05 + 0.05 + 0.05


def disagreements(published, tolerance=ROUNDING):
    """Yield the printed differences further than ``tolerance`` (points) from their own row's."""
    for variant, tasks in published.variants.items():
        for task, (*scores, printed) in tasks.items():
            base = published.variants["default"][task][:-1]
            recomputed = sum(scores) / len(scores) - sum(base) / len(base)
            if abs(recomputed - printed) > tolerance + 1e-9:
                yield variant, task, printed, recomputed


def test_the_table_is_whole_and_of_known_variants() -> None:
    published = load_published()
    assert len(published.variants) == 10
    assert set(published.variants) <= set(presets())
    assert published.score("sep-emb-L1-6", "parsing", "zh") == pytest.approx(0.015)
    assert published.score("sep-emb-L1-6", "parsing", "de") is None
    assert published.score("random", "parsing", "fr") is None


def test_printed_differences_follow_from_the_rows_but_for_rounding() -> None:
    assert list(disagreements(load_published())) == []


def test_seven_differences_need_the_rounding_of_scores_to_be_explained() -> None:
    """Beyond the rounding of the difference alone: by a tenth of a point at most, mostly NER."""
    found = list(disagreements(load_published(), 0.05))
    assert {(variant, task) for variant, task, _, _ in found} == {
        ("wiki-cc", "ner"),
        ("wiki-cc", "parsing"),
        ("no-anchors", "ner"),
        ("extra-anchors", "ner"),
        ("sep-L1-3", "ner"),
        ("sep-L1-6", "ner"),
        ("sep-emb-L1-3", "ner"),
    }
    assert max(abs(printed - recomputed) for *_, printed, recomputed in found) < 0.1001


def test_a_wrong_difference_is_found() -> None:
    published = load_published()
    wrong = {**published.variants["no-anchors"], "nli": (72.1, 67.5, 67.7, -2.0)}
    changed = published.model_copy(update={"variants": {**published.variants, "no-anchors": wrong}})
    ((variant, task, printed, recomputed),) = disagreements(changed)
    assert (variant, task, printed) == ("no-anchors", "nli", -2.0)
    assert recomputed == pytest.approx(-1.1)


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
