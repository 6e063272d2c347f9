"""Lines in another language, against the library's own judgement of one line after the other."""

import numpy as np
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


@given(st.lists(st.sampled_from(SENTENCES) | st.text(max_size=40), max_size=12), st.data())
@settings(deadline=None)  # the model is loaded by the first
def test_lines_together_are_judged_as_each_alone(library, lines, data):
    expected = [library.classify(line) for line in lines]
    # A threshold that is the confidence of a line itself leaves no room for rounding.
    thresholds = sorted({0.5, 1.0, *(confidence for _, confidence in expected)})
    threshold = data.draw(st.sampled_from(thresholds))
    found, unsure = Identifier("eng_Latn", threshold).foreign(lines)
    assert unsure == sum(confidence < threshold for _, confidence in expected)
    assert found.tolist() == [
        label != "en" and confidence >= threshold for label, confidence in expected
    ]


def test_confidences_are_the_librarys_to_rounding(library):
    model = languages._model()
    labels, confidences = model.classify_all(SENTENCES, 0.9)
    expected = [library.classify(line) for line in SENTENCES]
    assert [model.nb_classes[label] for label in labels] == [label for label, _ in expected]
    np.testing.assert_allclose(confidences, [value for _, value in expected], atol=1e-5)


def test_lines_that_rounding_could_decide_are_left_to_the_library(library, monkeypatch):
    model, asked = languages._model(), []
    monkeypatch.setattr(
        type(model), "classify", lambda _, line: asked.append(line) or library.classify(line)
    )
    _, confidence = library.classify(SENTENCES[0])
    model.classify_all(SENTENCES, confidence)
    assert asked == [SENTENCES[0]]


def test_terms_of_the_sums_have_one_sign():
    """The bound of their rounding errors is that of sums without cancellation."""
    assert (languages._model().nb_ptc <= 0).all()


def test_more_lines_than_a_batch_keep_their_order(monkeypatch):
    foreign, unsure = Identifier("eng_Latn", 0.5).foreign(SENTENCES)
    monkeypatch.setattr(languages, "_BATCH", 3)
    again, also_unsure = Identifier("eng_Latn", 0.5).foreign(SENTENCES)
    assert again.tolist() == foreign.tolist()
    assert again[:5].tolist() == [False, True, True, True, True]
    assert also_unsure == unsure
