"""What libraries call a language of a data folder, and which language a line is in."""

from functools import cache
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
        expected = _family(iso_code(language))
        self._confidence = confidence
        families = [_family(label) for label in self._model.nb_classes]
        self._foreign = np.array([family != expected for family in families])
        self.known = expected in families

    def foreign(self, lines: list[str]) -> tuple[NDArray[np.bool_], int]:
        """Return which lines are in another language, and for how many the model is unsure.

        Languages of one macrolanguage (Chinese and Cantonese, Croatian and Serbian) are not told
        apart.
        """
        found = np.zeros(len(lines), dtype=bool)
        unsure = 0
        if self.known:
            for start in range(0, len(lines), _BATCH):
                part = slice(start, start + _BATCH)
                heads = [line[:_HEAD] for line in lines[part]]
                labels, confidences = self._model.classify_all(heads, self._confidence)
                sure = confidences >= self._confidence
                unsure += int(np.count_nonzero(~sure))
                found[part] = sure & self._foreign[labels]
        return found, unsure


def _family(code: str) -> str:
    return _MACROLANGUAGES.get(code, code)


@cache
def _model():  # type: ignore[no-untyped-def]  # noqa: ANN202 - of a library without types
    from py3langid.langid import MODEL_FILE, LanguageIdentifier
    from scipy.sparse import csr_array
    from scipy.special import softmax

    class Model(LanguageIdentifier):
        """Judges many lines at once, where the library goes byte by byte."""

        def classify_all(
            self, lines: list[str], threshold: float
        ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
            """Return what `classify` returns for each line.

            Sums are in another order than the library's. A line whose label, or on which side of
            the threshold it is, could depend on that is left to the library.

            Returns:
                Numbers of labels [L] and confidences [L], each right to rounding.
            """
            texts = [self._encode(line) for line in lines]
            owners, features = automaton.features(texts)
            scores, error = self._scores(len(texts), owners, features)
            scale = 1 / np.sqrt(np.maximum([*map(len, texts)], 1))
            chances = softmax(scores * scale[:, None], axis=1)
            for kept, folded in self._alias_pairs:  # two names of one language
                chances[:, kept] += chances[:, folded]
                chances[:, folded] = 0
            labels = chances.argmax(axis=1)
            second, confidences = np.partition(chances, -2, axis=1)[:, -2:].T
            error = error * scale + len(self.nb_classes) * 2.0**-23  # and that of the chances
            doubtful = np.abs(confidences - threshold) <= error
            doubtful |= (confidences >= threshold - error) & (confidences - second <= 2 * error)
            for place in np.flatnonzero(doubtful):
                label, confidences[place] = self.classify(lines[place])
                labels[place] = self.nb_classes.index(label)
            return labels, confidences

        def _scores(
            self, lines: int, owners: NDArray[np.int64], features: NDArray[np.int64]
        ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
            """Return log posteriors [L, classes], and how far the library's may be from them [L].

            Both sum n terms of one sign in single precision, so that a sum is off by less than
            (n + 2) 2⁻²⁴ of itself (Higham 2002, section 3.1), and then add the prior.
            """
            width = len(self.nb_ptc)
            keys, counts = np.unique(owners * width + features, return_counts=True)
            owners, features = np.divmod(keys, width)
            terms = np.bincount(owners, minlength=lines)
            ends = np.append(0, np.cumsum(terms))
            weights = np.log1p(counts.astype(np.float32))
            matrix = csr_array((weights, features, ends), shape=(lines, width))
            sums = matrix @ self.nb_ptc
            scores = (sums + self.nb_pc).astype(np.float64)
            scores[terms == 0] = 0  # as the library has it: no language is likelier than another
            largest = np.abs(sums).max(axis=1) + np.abs(self.nb_pc).max()
            return scores, 2 * (terms + 3) * 2.0**-24 * largest

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

    def features(self, texts: list[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the features found in some texts: numbers of texts [n], and of features [n]."""
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
        texts_of, steps = np.nonzero(found >= 0)
        return order[texts_of], found[texts_of, steps]
