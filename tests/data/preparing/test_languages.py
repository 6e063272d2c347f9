"""Lines in another language, against the library's own judgement of one line after the other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from xling.data.preparing import languages
from xling.data.preparing.languages import Identifier

SENTENCES = [
    "The old house stands near a green river where many people walk.",
    "La vieille maison se trouve près de cette rivière verte.",
    "Das alte Haus steht an einem grünen Fluss.",
    "СТАРЫЙ ДОМ СТОИТ У РЕКИ.",
    "这座老房子坐落在一条绿色的河边。",
    "E\u0301cole",
    "",
    " \x00",
]


@pytest.fixture(scope="module")
def library():
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@given(st.lists(st.sampled_from(SENTENCES) | st.text(max_size=40), max_size=12))
@settings(deadline=None)  # the model is loaded by the first
def test_lines_together_are_judged_as_each_alone(library, lines):
    expected = [library.classify(line) for line in lines]
    assert [*languages._model().classify_all(lines)] == expected
    found, unsure = Identifier("eng_Latn", 0.5).foreign(lines)
    assert unsure == sum(confidence < 0.5 for _, confidence in expected)
    assert found.tolist() == [label != "en" and confidence >= 0.5 for label, confidence in expected]


def test_more_lines_than_a_batch_keep_their_order(library, monkeypatch):
    monkeypatch.setattr(languages, "_BATCH", 3)
    found = [*languages._model().classify_all(SENTENCES)]
    assert found == [library.classify(line) for line in SENTENCES]
    assert [label for label, _ in found[:5]] == ["en", "fr", "de", "ru", "zh"]
