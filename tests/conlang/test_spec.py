import pytest
import yaml

from xling.conlang.spec import DIMENSIONS, ConlangSpec, LanguageSpec, distance
from xling.errors import XlingError


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"languages": {"bb": {"oder": "SVO"}}}, "languages.bb.oder", "unknown setting"),
        ({"languages": {"bb": {"order": "free"}}}, "languages.bb", "order = free needs case"),
        ({"languages": {"bb": {"preset": "far", "tense": "affix"}}}, "languages.bb", "isolating"),
        ({"languages": {"bb": {"script": "han"}}}, "languages.bb", "script = han"),
        ({"languages": {"bb": "closer"}}, "languages.bb.preset", "'closer'"),
        ({"languages": {"bb": {"anchors": 2}}}, "languages.bb.anchors", "less than or equal"),
        ({"languages": {"bb": {"syllables": ["K"]}}}, "languages.bb.syllables", "CVC"),
        ({"languages": {"aa": {"anchors": 0.1}}}, "languages.aa", "the base has no"),
        ({"languages": {"aa2": "near"}}, "languages", "paraphrases"),
        ({"languages": {"B B": "near"}}, "languages", "lower-case"),
        ({"languages": {}, "world": {"nouns": 0}}, "world.nouns", "greater than or equal to 1"),
        ({"languages": {}, "world": {"nouns": 20}}, "world", "3 * classes + 8"),
        ({"languages": {}, "world": {"topics": 0}}, "world.topics", "greater than or equal"),
        ({"languages": {}, "domains": {}}, "domains", "at least 1"),
        ({"languages": {}, "nli": {"train": -1}}, "nli.train", "greater than or equal to 0"),
        ([1], "spec", "valid dictionary"),
    ],
)
def test_a_bad_spec_names_the_field(tmp_path, values, field, reason):
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(XlingError) as error:
        ConlangSpec.load(path)
    assert f"{path}: " in str(error.value)
    assert field in str(error.value)
    assert reason in str(error.value)


def test_a_twin_takes_the_grammar_that_the_spec_gives_the_base():
    base = {"order": "SOV", "adposition": "after"}
    spec = ConlangSpec.parse({"languages": {"aa": base, "bb": "twin"}}, "test")
    assert spec.languages["bb"].order == "SOV"
    assert spec.languages["bb"].script != spec.languages["aa"].script


def test_overrides_win_over_the_preset():
    spec = ConlangSpec.parse({"languages": {"bb": {"preset": "mid", "order": "SOV"}}}, "test")
    assert (spec.languages["bb"].order, spec.languages["bb"].case) == ("SOV", "affix")


def test_the_recorded_spec_reads_back_as_itself():
    spec = ConlangSpec.parse({"languages": {"bb": "twin", "cc": "far"}}, "test")
    assert ConlangSpec.parse(spec.model_dump(mode="json"), "record") == spec


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
