"""How lines are written for training: punctuation, words, case.

Evaluation parts go through the same functions, so that a model sees them as it saw its training
text.
"""

from collections.abc import Callable

from xling.data.preparing.languages import iso_code
from xling.data.preparing.settings import NOTHING, PrepareSettings
from xling.errors import need_extra

# By ISO code: the extra that installs the segmenter, and its package.
SEGMENTERS = {"zh": ("zh", "rjieba"), "ja": ("ja", "fugashi"), "th": ("th", "pythainlp")}


class LineWriter:
    """Writes lines of one language as the settings say.

    Conneau et al. (2020, section 3.1) tokenise with Moses and segment Chinese. As in XLM's scripts,
    Moses' script for punctuation runs first, with Unicode's punctuation replaced and control
    characters removed, and ``&`` and quotes are not escaped. Text that a segmenter has cut is not
    tokenised again.
    """

    def __init__(self, language: str, settings: PrepareSettings) -> None:
        self._lower = settings.lower
        self._normal = _normaliser(iso_code(language)) if settings.moses else None
        self._cut = _cutter(language, settings)

    def line(self, text: str) -> str:
        """Return a line written as the settings say; one with text never becomes empty."""
        written = self._normal(text) if self._normal else text
        written = self._cut(written) if self._cut else written
        return self._cased(written if written.strip() else text)

    def word(self, word: str) -> str:
        """Return a word written as the settings say; it stays one word."""
        written = self._normal(word) if self._normal else word
        return self._cased(written if written and not any(map(str.isspace, written)) else word)

    def _cased(self, text: str) -> str:
        return text.lower() if self._lower else text


def needed_extras(languages: tuple[str, ...], settings: PrepareSettings) -> None:
    """Refuse a preparation for which a package is missing.

    Raises:
        XlingError: how to install it.
    """
    what = "xling data prepare"
    if settings != NOTHING:
        need_extra("prepare", what)
    for language in languages if settings.segment else ():
        if iso_code(language) in SEGMENTERS:
            need_extra(SEGMENTERS[iso_code(language)][0], f"{what} (segment: {language})")


def _normaliser(code: str) -> Callable[[str], str]:
    from sacremoses import MosesPunctNormalizer

    normaliser = MosesPunctNormalizer(
        code, pre_replace_unicode_punct=True, post_remove_control_chars=True
    )
    normalise: Callable[[str], str] = normaliser.normalize
    return normalise


def _cutter(language: str, settings: PrepareSettings) -> Callable[[str], str] | None:
    code = iso_code(language)
    if settings.segment and code in SEGMENTERS:
        return {"zh": _chinese, "ja": _japanese, "th": _thai}[code]()
    if not settings.moses:
        return None
    from sacremoses import MosesTokenizer

    tokenizer = MosesTokenizer(code)
    return lambda text: str(tokenizer.tokenize(text, return_str=True, escape=False))


def _chinese() -> Callable[[str], str]:
    import rjieba

    return lambda text: _joined(rjieba.cut(text))


def _japanese() -> Callable[[str], str]:
    import fugashi

    tagger = fugashi.Tagger("-Owakati")
    return lambda text: _joined([word.surface for word in tagger(text)])


def _thai() -> Callable[[str], str]:
    from pythainlp.tokenize import word_tokenize

    return lambda text: _joined(word_tokenize(text, engine="newmm"))


def _joined(words: list[str]) -> str:
    """Join words by one space; white space alone is no word."""
    return " ".join(" ".join(words).split())
