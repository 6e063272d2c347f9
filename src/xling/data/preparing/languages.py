"""What libraries call a language of a data folder, and which language a line is in."""

from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xling.data.importing.languages import parse_code

_HEAD = 200  # characters of a line to look at: more cost time and rarely change the result
_BATCH = 1000  # lines
# Those of ISO 639-3, for varieties that the model knows or that may be expected.
_MACROLANGUAGES = {
    **dict.fromkeys(("nb", "nn"), "no"),
    **dict.fromkeys(("yue", "wuu", "hak", "nan"), "zh"),
    **dict.fromkeys(("ary", "arz", "acm", "acq", "aeb", "ajp", "apc", "ars"), "ar"),
    **dict.fromkeys(("bs", "hr", "sr"), "sh"),
    **dict.fromkeys(("sdh", "ckb", "kmr"), "ku"),
    "uzs": "uz",
}
# Script codes that stand for other scripts, alone or together.
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
        """Return which lines are in another language, and for how many the model is unsure.

        Languages of one macrolanguage (Chinese and Cantonese, Croatian and Serbian) are not told
        apart.
        """
        found = np.zeros(len(lines), dtype=bool)
        unsure = 0
        if self.known:
            heads = [line[:_HEAD] for line in lines]
            for place, (label, confidence) in enumerate(self._model.classify_all(heads)):
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

    class Model(LanguageIdentifier):
        """Finds the features of many lines at once, where the library goes byte by byte."""

        def classify_all(self, lines: list[str]) -> Iterator[tuple[str, float]]:
            """Yield what `classify` returns for each line."""
            for start in range(0, len(lines), _BATCH):
                batch = lines[start : start + _BATCH]
                found = automaton.features([self._encode(line) for line in batch])
                for line, self._found in zip(batch, found, strict=True):
                    yield self.classify(line)

        def _raw_score(self, text: bytes) -> NDArray[np.float32]:
            if not self._found:
                return np.asarray(super()._raw_score(b""))
            return np.asarray(self._sparse_score(Counter(self._found), self.nb_ptc))

    model = Model.from_model_file(MODEL_FILE, norm_probs=True)
    # Stored with 16 bits, which would be widened at every use.
    model.nb_ptc = model.nb_ptc.astype(np.float32)
    rows = np.asarray(model.tk_row, dtype=np.int64) << 8
    automaton = _Automaton(rows, np.asarray(model.tk_nextmove), np.asarray(model.tk_output))
    return model


class _Automaton(NamedTuple):
    """Reads bytes and finds features.

    Attributes:
        rows: Where each state's moves begin, int64 ``[S]``.
        moves: The state after each byte.
        output: The feature found in each state, -1 for none, int64 ``[S]``.
    """

    rows: NDArray[np.int64]
    moves: NDArray[np.uint32]
    output: NDArray[np.int64]

    def features(self, texts: list[bytes]) -> list[list[int]]:
        """Return the features of each text in the order in which they are found."""
        lengths = np.array([*map(len, texts)])
        order = np.argsort(-lengths, kind="stable")
        letters = np.frombuffer(b"".join([texts[place] for place in order]), dtype=np.uint8)
        starts = np.append(0, np.cumsum(lengths[order])[:-1])
        found = np.full((len(texts), lengths.max()), -1, dtype=np.int64)
        states = np.zeros(len(texts), dtype=np.int64)
        for step in range(lengths.max()):
            # The longest come first, so those that have ended are the last.
            states = states[: np.count_nonzero(lengths > step)]
            states = self.moves[self.rows[states] + letters[starts[: len(states)] + step]]
            found[: len(states), step] = self.output[states]
        found = found[np.argsort(order)]
        met = found >= 0
        ends = np.append(0, np.cumsum(met.sum(axis=1))).tolist()
        features = found[met].tolist()
        return [features[start:end] for start, end in pairwise(ends)]
