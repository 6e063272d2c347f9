import pytest

from xling.conlang.distance import DIMENSIONS, distance
from xling.conlang.spec import LanguageSpec


def test_every_typological_parameter_is_in_one_dimension():
    counted = [name for names in DIMENSIONS.values() for name in names if name != "lexicon"]
    words = {"preset", "homonyms", "synonyms", "cognates", "anchors"}
    assert sorted(counted) == sorted(set(LanguageSpec.model_fields) - words)


def test_presets_lie_further_and_further_away(spec):
    base = spec.languages["aa"]
    away = {name: distance(base, language)["all"] for name, language in spec.languages.items()}
    assert away["aa"] == 0
    assert away["near"] < away["mid"] < away["far"]
    twin = distance(base, spec.languages["twin"])
    assert (twin["order"], twin["marking"], twin["words"]) == (0, 0, 1)


def test_distance_is_symmetric_and_counts_what_differs(spec):
    near, mid = spec.languages["near"], spec.languages["mid"]
    assert distance(near, mid) == distance(mid, near)
    one = distance(LanguageSpec(), LanguageSpec(order="SOV", adposition="after"))
    assert one["order"] == pytest.approx(2 / 12)
    assert one["marking"] == 0
