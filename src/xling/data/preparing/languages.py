"""What a language of a data folder is called by libraries, and which language a line is in."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from xling.data.importing.languages import parse_code

_HEAD = 200  # characters of a line that are looked at: more hardly decide anything, and cost time
# ISO 639-3's, of the varieties that the model knows or that are asked for.
_MACROLANGUAGES = {
    **dict.fromkeys(("nb", "nn"), "no"),
    **dict.fromkeys(("yue", "wuu", "hak", "nan"), "zh"),
    **dict.fromkeys(("ary", "arz", "acm", "acq", "aeb", "ajp", "apc", "ars"), "ar"),
    **dict.fromkeys(("bs", "hr", "sr"), "sh"),
    **dict.fromkeys(("sdh", "ckb", "kmr"), "ku"),
    "uzs": "uz",
}
# What several scripts together write.
_SCRIPTS = {"Hans": ("Hani",), "Hant": ("Hani",), "Jpan": ("Hani", "Hira", "Kana")} | {
    "Kore": ("Hang", "Hani")
}


def iso_code(language: str) -> str:
    """Return the shortest ISO 639 code of a language, as most libraries name it.

    Example:
        >>> iso_code("eng_Latn"), iso_code("zh-Hans"), iso_code("cmn"), iso_code("aa-near")
        ('en', 'zh', 'zh', 'aa-near')
    """
    tag = parse_code(language)
    return tag.language if tag else language


def scripts_of(language: str) -> tuple[str, ...]:
    """Return the scripts that a language is written in: as its code says, or the usual ones.

    Example:
        >>> scripts_of("fr"), scripts_of("zh"), scripts_of("kas_Deva"), scripts_of("ja")
        (('Latn',), ('Hani',), ('Deva',), ('Hani', 'Hira', 'Kana'))
    """
    tag = parse_code(language)
    if tag is None or not tag.script:
        return ()
    return _SCRIPTS.get(tag.script, (tag.script,))


class Identifier:
    """Finds lines that are in another language than expected.

    The model is naive Bayes over byte n-grams (Lui and Baldwin 2012), in the package py3langid.

    Attributes:
        known: Whether the model knows the language; if not, no line is found.
    """

    def __init__(self, language: str, confidence: float) -> None:
        self._model = _model()
        self._expected = _family(iso_code(language))
        self._confidence = confidence
        self.known = self._expected in {_family(label) for label in self._model.labels}

    def foreign(self, lines: list[str]) -> tuple[NDArray[np.bool_], int]:
        """Return which lines are in another language, and of how many the model is not sure.

        Languages of one macrolanguage (Chinese and Cantonese, Croatian and Serbian) are not told
        apart.
        """
        found = np.zeros(len(lines), dtype=bool)
        unsure = 0
        if self.known:
            for place, line in enumerate(lines):
                label, confidence = self._model.classify(line[:_HEAD])
                if confidence < self._confidence:
                    unsure += 1
                else:
                    found[place] = _family(label) != self._expected
        return found, unsure


def _family(code: str) -> str:
    return _MACROLANGUAGES.get(code, code)


@cache
def _model():  # type: ignore[no-untyped-def]  # noqa: ANN202 - of a library without types
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
