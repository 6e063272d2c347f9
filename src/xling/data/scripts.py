"""Which writing systems a text uses, by the Unicode property Script (UAX #24)."""

from functools import cache

import numpy as np
import regex
from numpy.typing import NDArray

# Of scripts that write no spaces between words; the inside of a regular expression's [...].
UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
COMMON = "Zyyy"  # digits, spaces, punctuation: characters that scripts share
_SURROGATES = range(0xD800, 0xE000)

# ISO 15924 codes, the frequent ones first; characters of scripts not listed count as "Zzzz".
_SCRIPTS = (
    *("Latn", "Cyrl", "Hani", "Arab", "Deva", "Grek", "Hebr", "Hang", "Hira", "Kana", "Thai"),
    *("Beng", "Taml", "Telu", "Knda", "Mlym", "Gujr", "Guru", "Orya", "Sinh", "Geor", "Armn"),
    *("Ethi", "Khmr", "Laoo", "Mymr", "Tibt", "Mong", "Tfng", "Nkoo", "Cher", "Cans", "Thaa"),
    *("Bopo", "Yiii", "Vaii", "Adlm", "Java", "Sund", "Bali", "Olck", "Mtei", "Rohg", "Syrc"),
    *("Copt", "Goth", "Runr", "Ogam", "Glag", "Ital", "Phnx", "Xsux", "Egyp", "Brai", "Zinh"),
    COMMON,
)


def script_shares(counts: NDArray[np.int64]) -> dict[str, float]:
    """Return the share of each script among the characters that belong to one, largest first.

    Args:
        counts: How often each code point occurs, from 0 to the largest seen.

    Returns:
        Shares by ISO 15924 code, e.g. ``{"Latn": 0.97, "Grek": 0.03}``. Characters that scripts
        share or inherit (Zyyy, Zinh) are left out unless there are no others.
    """
    present = np.flatnonzero(counts)
    present = present[(present < _SURROGATES.start) | (present >= _SURROGATES.stop)]
    totals: dict[str, int] = {}
    position = 0
    for match in _pattern().finditer("".join(map(chr, present.tolist()))):
        run = present[position : match.end()]
        position = match.end()
        script = match.lastgroup or "Zzzz"
        totals[script] = totals.get(script, 0) + int(counts[run].sum())
    shared = {key: totals.pop(key) for key in (COMMON, "Zinh") if key in totals}
    if not totals and shared:
        totals = {COMMON: sum(shared.values())}
    whole = sum(totals.values())
    ordered = sorted(totals.items(), key=lambda item: (-item[1], item[0]))
    return {script: count / whole for script, count in ordered}


def named_shares(shares: dict[str, float], most: int = 3) -> str:
    """Write the shares that round to 1 % or more, e.g. ``"Latn 97 %, Cyrl 3 %"``."""
    named = [f"{script} {share * 100:.0f} %" for script, share in shares.items() if share >= 0.005]
    return ", ".join(named[:most])


@cache
def _pattern() -> regex.Pattern[str]:
    """Match a run of characters of one script; the group's name is the script."""
    runs = [rf"(?P<{script}>\p{{Script={script}}}+)" for script in _SCRIPTS]
    return regex.compile("|".join([*runs, "."]), regex.DOTALL)
