"""Typological distance: how many parameters of two languages differ, by dimension."""

from xling.conlang.spec import LanguageSpec

DIMENSIONS: dict[str, tuple[str, ...]] = {
    "order": (
        "order", "adjective", "genitive", "relative", "numeral", "determiner", "adposition",
        "oblique", "adverb", "particles", "subordinator", "extraposition",
    ),
    "marking": (
        "articles", "case", "tense", "plural", "negation", "passive", "copula",
        "verb_agreement", "adjective_agreement", "morphology",
    ),
    "sound": ("script", "spaces", "syllables"),
    "words": ("lexicon",),
}  # fmt: skip


def distance(a: LanguageSpec, b: LanguageSpec) -> dict[str, float]:
    """Return what share of the parameters of two languages differ.

    Languages are compared by what they set; that two languages have different words counts as
    the share of content words that neither cognates nor anchors bring together (one language being
    the base; 0 for a language and itself).

    Args:
        a: One language's parameters.
        b: The other's.

    Returns:
        For each dimension (``order``, ``marking``, ``sound``, ``words``) the share of its
        parameters that differ, and ``all``: the mean over the dimensions; each in [0, 1].

    Example:
        >>> distance(LanguageSpec(), LanguageSpec(order="SOV"))["order"]
        0.08333333333333333
    """
    found: dict[str, float] = {}
    for dimension, parameters in DIMENSIONS.items():
        if dimension != "words":
            differ = sum(getattr(a, name) != getattr(b, name) for name in parameters)
            found[dimension] = differ / len(parameters)
    shared = max(a.cognates, b.cognates) + max(a.anchors, b.anchors)
    found["words"] = 0.0 if a == b else max(0.0, 1 - shared)
    found["all"] = sum(found.values()) / len(found)
    return found
