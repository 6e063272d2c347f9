"""Ready-made languages at a documented distance from the base language.

A preset is a set of typological parameters; whatever a spec sets beside it wins.
The base language's own parameters are the defaults of
[`LanguageSpec`][xling.conlang.spec.LanguageSpec]; ``twin`` takes the base's grammar
as the spec gives it, in another alphabet, and so is not a table of parameters.
"""

from typing import Any

BASE = "aa"

PRESETS: dict[str, dict[str, Any]] = {
    # As French from English: same basic order, same alphabet, many cognates.
    "near": {
        "adjective": "after",
        "numeral": "before",
        "morphology": "fusional",
        "adjective_agreement": True,
        "passive": "auxiliary",
        "script": "latin",
        "syllables": ["CV", "CV", "CCV", "V", "CVC"],
        "cognates": 0.3,
        "anchors": 0.3,
    },
    # As Russian from English: case instead of order, no articles, another alphabet, some cognates.
    "mid": {
        "order": "free",
        "articles": "none",
        "case": "affix",
        "morphology": "fusional",
        "verb_agreement": True,
        "adjective_agreement": True,
        "passive": "affix",
        "copula": "not-present",
        "extraposition": True,
        "script": "cyrillic",
        "syllables": ["CV", "CVC", "CCV", "CCVC"],
        "cognates": 0.1,
        "anchors": 0.1,
    },
    # As Chinese from English: no inflection, modifiers first, characters without spaces.
    "far": {
        "genitive": "before",
        "relative": "before",
        "oblique": "before",
        "articles": "none",
        "subordinator": "final",
        "tense": "particle",
        "particles": "after",
        "plural": "none",
        "morphology": "isolating",
        "verb_agreement": False,
        "adjective_agreement": False,
        "passive": "particle",
        "script": "han",
        "spaces": False,
        "cognates": 0.0,
        "anchors": 0.05,
    },
}
