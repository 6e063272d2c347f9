"""Language codes of all kinds (``fra``, ``fr-FR``, ``fra_Latn``) as one name per language.

A name is the shortest code of the language. The script is added only if it is not the usual one or
if the language occurs in two scripts; the region only if it occurs with two regions.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from xling.names import check_language

# Words in file names that are also codes of small languages.
_WORDS = frozenset(
    (
        *("all", "bin", "csv", "dev", "doc", "end", "gen", "her", "his", "ids", "key", "map"),
        *("mix", "ner", "new", "old", "one", "our", "out", "raw", "ref", "set", "sib", "src"),
        *("sub", "tag", "tar", "tgt", "the", "tmx", "tok", "top", "tsv", "txt", "two", "val"),
        *("vec", "web", "xml"),
    )
)

# CLDR takes Twi for the main language of Akan, but FLORES has both.
_APART = frozenset(("tw", "twi"))


class Tag(NamedTuple):
    """What a code says.

    Attributes:
        language: The shortest code of the language; a macrolanguage stands for its main language
            (``cmn`` is ``zh``).
        script: Its script, given or usual; empty for an unknown code.
        region: Its region, if it is given; Chinese regions only decide the script.
    """

    language: str
    script: str
    region: str = ""


@cache
def parse_code(code: str) -> Tag | None:
    """Read a language code; None if it is not one.

    Example:
        >>> parse_code("fra_Latn"), parse_code("news")
        (Tag(language='fr', script='Latn', region=''), None)
        >>> parse_code("zh-TW")
        Tag(language='zh', script='Hant', region='')
    """
    import langcodes

    if not 2 <= len(code) <= 35 or not code.replace("-", "").replace("_", "").isascii():
        return None
    if code.lower().startswith(("x-", "i-")):
        return None
    if code.replace("_", "-").partition("-")[0].lower() in _APART:
        return Tag("tw", "Latn")
    try:
        whole = langcodes.Language.get(langcodes.standardize_tag(code, macro=True))
        if not whole.is_valid() or not whole.language or whole.private or whole.variants:
            return None
        script = langcodes.Language.get(code).script or whole.script or whole.maximize().script
    except (ValueError, LookupError):
        return None
    chinese = whole.language == "zh"
    return Tag(whole.language, script or "", "" if chinese else whole.territory or "")


def read_code(code: str) -> Tag:
    """Read a language code that a user has given; an unknown one is taken as it is.

    Raises:
        XlingError: It cannot be the name of a language.
    """
    return parse_code(code) or Tag(check_language(code), "")


def code_in(piece: str, alone: bool = False) -> Tag | None:
    """Read a piece of a file's name as a code, if it is unlikely to be anything else.

    Args:
        piece: A code of two letters, a code of three letters for a language that also has one of
            two, or a code with a script or a region.
        alone: It is the whole name; then any code of three letters is accepted.
    """
    if piece.lower() in _WORDS or piece.isdecimal():
        return None
    letters = piece.replace("_", "-").split("-")
    short = len(letters) == 1 and len(piece) in (2, 3) and piece.islower()
    longer = len(letters) in (2, 3) and letters[0].islower() and _subtags(letters[1:])
    tag = parse_code(piece) if short or longer else None
    # Thousands of languages have codes that are words elsewhere: pud, sib, wiki's wik.
    small = tag is not None and short and len(tag.language) == 3
    return None if small and not alone else tag


def _subtags(pieces: list[str]) -> bool:
    return all((len(p) == 4 and p.istitle()) or (len(p) == 2 and p.isupper()) for p in pieces)


def names_of(tags: Iterable[Tag], present: Iterable[str] = ()) -> Mapping[Tag, str]:
    """Return one name for each language.

    Args:
        tags: The languages that are imported together.
        present: Names of languages that the data folder has; the same language keeps its name.
    """
    tags = list(dict.fromkeys(tags))
    there = {(tag.language, tag.script, tag.region): name for name, tag in _read(present)}
    known = {(tag.language, tag.script): name for name, tag in _read(present) if not tag.region}
    # Without its script, a name stands for the usual one.
    scripts = {tag.language: {(parse_code(tag.language) or tag).script} for tag in tags}
    for tag in [*tags, *(tag for _, tag in _read(present))]:
        scripts.setdefault(tag.language, set()).add(tag.script)
    regions: dict[tuple[str, str], set[str]] = {}
    for tag in tags:
        regions.setdefault((tag.language, tag.script), set()).add(tag.region)
    names = {}
    for tag in tags:
        several = len(regions[tag.language, tag.script]) > 1 and bool(tag.region)
        if tag in there:
            names[tag] = there[tag]
        elif not several and (tag.language, tag.script) in known:
            names[tag] = known[tag.language, tag.script]
        else:
            script = [tag.script] if tag.script and len(scripts[tag.language]) > 1 else []
            names[tag] = "-".join([tag.language, *script, *([tag.region] if several else [])])
    return names


def _read(names: Iterable[str]) -> list[tuple[str, Tag]]:
    return [(name, read_code(name)) for name in names]


def pair_in(piece: str) -> tuple[Tag, Tag] | None:
    """Read a piece of a file's name such as ``en-fr`` or ``eng_Latn-fra_Latn`` as two codes."""
    steps = piece.split("-")
    for cut in range(1, len(steps)):
        one, other = (code_in("-".join(half)) for half in (steps[:cut], steps[cut:]))
        if one and other and one != other:
            return one, other
    return None
