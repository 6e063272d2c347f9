"""Names of languages, domains, sets, variants and studies, and how pairs are written.

Names become parts of paths, of tables' cells and of other names, so there is one rule for all of
them (docs/data.md, Names): letters and digits of any script, ``-`` and ``_``, a letter or digit
first. That covers every BCP 47 code (``zh-Hans``, ``pt-BR``) and ``eng_Latn``. All except languages
may have dots as well; in a language's files the dot ends its name.

A pair is written ``en-fr`` unless one of its codes has a hyphen: then ``en+zh-Hans``, because no
name can hold a ``+``. So a written pair can always be split again.
"""

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from xling.errors import XlingError

_RULE = "a letter or digit, then letters, digits, - and _"
_LONGEST = 100  # bytes: names are combined into names of files, which may have 255
_SHOWN = 60
_WAYS = 3  # most readings of an ambiguous pair that a message lists
_HYPHEN, _PLUS = "-", "+"


def check_name(name: str, what: str = "") -> str:
    """Return a domain's, set's, variant's or study's name.

    Raises:
        XlingError: it breaks the rule.
    """
    return _checked(name, what, _RULE.replace(" and _", ", _ and ."), "-_.")


def check_language(code: str, what: str = "language") -> str:
    """Return a language's code.

    Raises:
        XlingError: it breaks the rule.
    """
    return _checked(code, what, f"{_RULE}, e.g. en, zh-Hans or eng_Latn", "-_")


def as_name(text: str) -> str:
    """Return a name made from any text, the text itself if it is one.

    Example:
        >>> as_name("my data {1}"), as_name("my-data")
        ('my_data__1_', 'my-data')
    """
    kept = "".join(letter if _is_letter(letter) or letter in "-_." else "_" for letter in text)
    kept = kept.encode()[:_LONGEST].decode(errors="ignore")
    return kept if kept and _begins(kept) else f"x{kept}"[:_LONGEST]


def not_text(value: object) -> str | None:
    """Say what a value is that YAML did not read as text, and how to write it; None for text."""
    if isinstance(value, bool):
        # Norwegian, and other words that YAML 1.1 takes for truth values.
        return f'{value!r}, which is not text (quote it: "{"yes" if value else "no"}")'
    if value is None:
        return 'nothing, which is not text (if that is its name, quote it: "null")'
    if isinstance(value, int | float) or hasattr(value, "isoformat"):
        kind = "date" if hasattr(value, "isoformat") else "number"
        written = value.isoformat() if kind == "date" else repr(value)
        return (
            f'{written}, which is not text but a {kind} (quote what is written, e.g. "{written}")'
        )
    return None


def _text(value: object) -> object:
    found = not_text(value)
    if found:
        raise ValueError(f"found {found}")
    return value


def _name(value: str) -> str:
    try:
        return check_name(value)
    except XlingError as error:
        raise ValueError(str(error)) from None


def _language(value: str) -> str:
    try:
        return check_language(value)
    except XlingError as error:
        raise ValueError(str(error)) from None


def _different(languages: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(languages)) < len(languages):
        raise ValueError(f"names a language twice: {', '.join(languages)}")
    return languages


Text = Annotated[str, BeforeValidator(_text)]
"""Text of a settings file; if YAML reads something else, the error says what to write."""
Name = Annotated[Text, AfterValidator(_name)]
"""The name of a domain, a parallel set, a variant or a study in a settings file."""
Language = Annotated[Text, AfterValidator(_language)]
"""A language's code in a settings file."""
Pair = Annotated[tuple[Language, Language], AfterValidator(_different)]
"""Two different languages in a settings file."""
Languages = Annotated[tuple[Language, ...], AfterValidator(_different)]
"""Different languages in a settings file."""


def pair_name(languages: Sequence[str]) -> str:
    """Write languages that belong together, the base first, as one name.

    Example:
        >>> pair_name(["en", "fr"]), pair_name(["en", "zh-Hans"])
        ('en-fr', 'en+zh-Hans')
    """
    hyphens = any(_HYPHEN in language for language in languages)
    return (_PLUS if hyphens else _HYPHEN).join(languages)


def pair_languages(name: str) -> tuple[str, ...]:
    """Split what `pair_name` has written.

    Example:
        >>> pair_languages("en-fr"), pair_languages("en+zh-Hans")
        (('en', 'fr'), ('en', 'zh-Hans'))
    """
    return tuple(name.split(_PLUS if _PLUS in name else _HYPHEN))


def cut_pair(written: str, known: Collection[str]) -> tuple[str, ...]:
    """Split a pair as a person writes it: ``en-zh-Hans`` is ``en`` and ``zh-Hans``.

    Args:
        written: Two or more languages, joined by ``-`` (or by ``+``, which settles it).
        known: The languages there are. Where no cut has only these, scripts and regions (``Hans``,
            ``BR``) belong to the code before them, and every other part is a language.

    Raises:
        XlingError: several cuts have only known languages.
    """
    if _PLUS in written:
        return pair_languages(written)
    steps = written.split(_HYPHEN)
    codes = {code for code in known if code in written}
    found = list(islice(_cuts(steps, codes), _WAYS))
    if len(found) > 1:
        ways = " or ".join(f"[{', '.join(cut)}]" for cut in found)
        raise XlingError(f"{written!r} is {ways}; write the one that is meant as a list")
    return found[0] if found else _with_subtags(steps)


def cut_dictionary(name: str, known: Collection[str]) -> tuple[str, str]:
    """Split the name of a dictionary, SRC-TGT, into its two languages.

    Args:
        name: Without split and ending.
        known: The languages there are; the split with most of them is taken, and of several the
            one with the longest source.
    """
    steps = name.split(_HYPHEN)
    cuts = [
        (_HYPHEN.join(steps[:place]), _HYPHEN.join(steps[place:]))
        for place in range(len(steps) - 1, 0, -1)
    ]
    if not cuts:
        return name, ""
    if not any({*cut} & {*known} for cut in cuts):
        return cuts[-1]
    return max(cuts, key=lambda cut: sum(language in known for language in cut))


def _cuts(
    steps: Sequence[str], known: Collection[str], before: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield every way to cut into at least two different known languages."""
    if not steps and len(before) > 1:
        yield before
    for end in range(1, len(steps) + 1):
        code = _HYPHEN.join(steps[:end])
        if code in known and code not in before:
            yield from _cuts(steps[end:], known, (*before, code))


def _with_subtags(steps: Sequence[str]) -> tuple[str, ...]:
    codes: list[str] = []
    for step in steps:
        script = len(step) == 4 and step.isalpha() and step.istitle()
        region = (len(step) == 2 and step.isalpha() and step.isupper()) or (
            len(step) == 3 and step.isdecimal()
        )
        if codes and codes[-1] and (script or region):
            codes[-1] += f"{_HYPHEN}{step}"
        else:
            codes.append(step)
    return tuple(codes)


def _checked(name: str, what: str, rule: str, marks: str) -> str:
    fine = (
        bool(name)
        and _begins(name)
        and all(_is_letter(letter) or letter in marks for letter in name)
    )
    if not fine:
        of = f" of a {what}" if what else ""
        shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
        raise XlingError(f"{shown!r} is not a name{of}; the pattern is {rule}")
    if len(name.encode()) > _LONGEST:
        raise XlingError(
            f"'{name[:_SHOWN]}...' is too long for a name; expected at most {_LONGEST} bytes"
        )
    return name


def _begins(name: str) -> bool:
    return unicodedata.category(name[0])[0] in "LN"


def _is_letter(letter: str) -> bool:
    """Tell whether it is a letter, a mark on one, or a digit."""
    return unicodedata.category(letter)[0] in "LMN"
