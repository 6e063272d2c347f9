"""How many parameters each variant of a study has, before anything is learnt or trained."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from xling.study.config import StudyConfig, Variant, languages
from xling.study.presets import presets
from xling.vocabulary.bpe import SPECIAL_TOKENS


class ParameterCounts(NamedTuple):
    """Distinct parameters of one variant, for the languages of one pair.

    Attributes:
        variant: Its name.
        total: All, counted once.
        shared: Those that all languages have in common.
        private: Those of the base language alone.
        member: Those of the base language's own model, shared ones included.
        at_most: Whether identical tokens will merge, so that there are fewer embeddings.
    """

    variant: str
    total: int
    shared: int
    private: int
    member: int
    at_most: bool


def paper_study() -> StudyConfig:
    """Return every preset at the paper's settings; none needs data.

    Conneau et al. 2020, section 3.1.
    """
    return StudyConfig.model_validate(
        {
            "name": "paper",
            "pairs": ["en-fr"],
            "text": ["wiki"],
            "other_domain": ["web"],
            "pretraining": {"steps": 1},
            "variants": list(presets()),
        }
    )


def count_parameters(study: StudyConfig) -> Iterator[ParameterCounts]:
    """Yield the counts of every variant, for the first pair; nothing is allocated.

    A ``union`` vocabulary is counted as if no token merged: how many do depends on the text.
    """
    for name in study.variants:
        variant = study.variant(name)
        yield variant_parameters(name, variant, variant.languages(languages(study.pairs[0])))


def variant_parameters(name: str, variant: Variant, pair: tuple[str, ...]) -> ParameterCounts:
    """Count one variant, for the languages that it is trained on."""
    import torch

    from xling.model.family import Family, parameter_counts
    from xling.model.sharing import SharingPlan

    plan = SharingPlan.parse(variant.separate, variant.model.layers)
    with torch.device("meta"):
        family = Family.build(variant.model, vocabulary_sizes(variant, pair), plan, seed=0)
    counts: dict[str, Any] = parameter_counts(family)
    private = counts["private"][pair[0]]
    return ParameterCounts(
        name,
        counts["total"],
        counts["shared"],
        private,
        counts["shared"] + private,
        variant.vocabulary.kind == "union",
    )


def vocabulary_sizes(variant: Variant, pair: tuple[str, ...]) -> dict[str, int]:
    """Return each language's number of rows; of a union, if no token merges."""
    kind, size = variant.vocabulary.kind, variant.vocabulary.size
    if kind == "joint":
        return dict.fromkeys(pair, size)
    each, special = size // len(pair), len(SPECIAL_TOKENS)
    if kind == "separate":
        return dict.fromkeys(pair, each)
    return dict.fromkeys(pair, special + len(pair) * (each - special))


def as_table(counts: Iterator[ParameterCounts]) -> str:
    """Return counts as a Markdown table."""
    lines = [
        "| variant | total | shared | private, per language | one language's model |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for row in counts:
        mark = "≤ " if row.at_most else ""
        lines.append(
            f"| `{row.variant}` | {mark}{row.total:,} | {mark}{row.shared:,} | {row.private:,} "
            f"| {mark}{row.member:,} |"
        )
    return "\n".join(lines)
