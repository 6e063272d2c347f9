"""The report of a vocabulary on the text it was used on, and of the languages' anchors.

It is made where all text passes the tokenizer anyway, from counts of the train streams.
"""

import logging
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from xling.data.layout import DataFolder
from xling.errors import XlingError
from xling.files import atomic_file, write_json
from xling.tokens.counts import LanguageCounts
from xling.tokens.words import shared_words
from xling.vocabulary.anchor_kinds import Cognates
from xling.vocabulary.anchors import Share, find_anchors
from xling.vocabulary.vocabulary import Vocabulary

_log = logging.getLogger(__name__)
_COMMONEST = 50
_EXAMPLES = 30


def write_report(
    folder: Path, vocabulary: Vocabulary, counts: Mapping[str, LanguageCounts], data: DataFolder
) -> None:
    """Write ``report.json`` and, for reading, ``report.md``; dictionaries are those of ``data``."""
    report = make_report(vocabulary, counts, data)
    write_json(folder / "report.json", report)
    with atomic_file(folder / "report.md") as file:
        file.write(as_markdown(report))


def make_report(
    vocabulary: Vocabulary, counts: Mapping[str, LanguageCounts], data: DataFolder
) -> dict[str, Any]:
    """Gather the figures as JSON: the vocabulary, each language, the anchors of every two.

    Shares lie in [0, 1]. Running tokens do not include [SEP]. Words are what the vocabulary
    cuts text into: between white space, with punctuation marks as words of their own.
    """
    return {
        "vocabulary": {"kind": vocabulary.kind, "size": vocabulary.entries},
        "languages": {
            language: _language(vocabulary, counted) for language, counted in counts.items()
        },
        "premium": list(_premiums(vocabulary, tuple(counts), data)),
        # With separate ids per language, equal ids mean nothing and no token is shared.
        "anchors": [
            _anchors(vocabulary, first, second, counts, Cognates.read(data, first, second))
            for first, second in combinations(counts, 2)
            if vocabulary.has_one_space
        ],
    }


def _language(vocabulary: Vocabulary, counted: LanguageCounts) -> dict[str, Any]:
    tokens = int(counted.ids.sum() - counted.ids[vocabulary.special_ids.sep])
    unknowns = int(counted.ids[vocabulary.special_ids.unk])
    return {
        "lines": counted.lines,
        "words": counted.words.total,
        "characters": counted.characters,
        "tokens": tokens,
        "tokens a word": tokens / counted.words.total,
        "tokens a character": tokens / counted.characters,
        "different tokens": int((counted.ids[len(vocabulary.special_ids) :] > 0).sum()),
        "unknowns": unknowns,
        "share of unknowns": unknowns / tokens,
        "unknown characters": dict(counted.unknown_characters.most_common(_EXAMPLES)),
    }


def _premiums(
    vocabulary: Vocabulary, languages: tuple[str, ...], data: DataFolder
) -> Iterator[dict[str, Any]]:
    """Yield how many tokens each language takes for the same text, relative to the first.

    Measured on every parallel set that all have (Petrov et al. 2023, arXiv 2305.15425), as its
    files are when the streams are written; one that cannot be read is left out.
    """
    for name in data.parallel_sets(*languages):
        try:
            lines = data.parallel(name, *languages)
        except XlingError as error:
            _log.warning("%s; left out of the tokenizer premium", error)
            continue
        tokens = {
            language: sum(
                len(encoding.ids)
                for encoding in vocabulary.tokenizer(language).encode_batch(
                    lines[language], add_special_tokens=False
                )
            )
            for language in languages
        }
        base = tokens[languages[0]]
        if base:
            yield {
                "set": name,
                "lines": len(lines[languages[0]]),
                "tokens": tokens,
                "premium": {language: count / base for language, count in tokens.items()},
            }


def _anchors(
    vocabulary: Vocabulary,
    first: str,
    second: str,
    counts: Mapping[str, LanguageCounts],
    cognates: Cognates | None,
) -> dict[str, Any]:
    tokens = vocabulary.tokens(first)
    anchors = find_anchors(counts[first].use, counts[second].use, tokens, cognates)
    words = shared_words(counts[first].words, counts[second].words)

    def covered(share: Share) -> dict[str, Any]:
        shares = {first: share.first, second: share.second}
        return {
            "tokens": share.tokens,
            "share of running tokens": shares,
            "overlap": share.overlap,
        }

    return {
        "languages": [first, second],
        "dictionary": cognates is not None,
        **covered(anchors.all),
        "words": {
            "share of running words": {first: words[0], second: words[1]},
            "overlap": words[2],
        },
        "kinds": {kind: covered(share) for kind, share in anchors.kinds.items()},
        "commonest": [
            {
                "token": tokens[number],
                "kind": kind,
                first: int(counts[first].ids[number]),
                second: int(counts[second].ids[number]),
            }
            for number, kind in zip(anchors.ids[:_COMMONEST], anchors.kind_of, strict=False)
        ],
    }


def as_markdown(report: Mapping[str, Any]) -> str:
    """Render a report as a page of tables."""
    vocabulary = report["vocabulary"]
    lines = [
        f"# Vocabulary: {vocabulary['kind']}, {vocabulary['size']:,} tokens",
        "",
        "Counted on the train streams; running tokens without [SEP].",
        "",
        "| language | lines | words | tokens | different | tokens per word | tokens per character "
        "| unknown | unknown characters |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *(_language_row(language, row) for language, row in report["languages"].items()),
    ]
    if report["premium"]:
        first = next(iter(report["languages"]))
        lines += [
            "",
            f"Tokens for the same text, relative to {first} (the tokenizer premium):",
            "",
            f"| parallel set | {' | '.join(report['languages'])} |",
            f"| --- |{' ---: |' * len(report['languages'])}",
            *(
                f"| {row['set']} | {' | '.join(f'{p:.2f}' for p in row['premium'].values())} |"
                for row in report["premium"]
            ),
        ]
    if vocabulary["kind"] == "separate":
        lines += ["", "Every language has separate ids: they share no token."]
    for anchors in report["anchors"]:
        lines += ["", *_anchor_table(anchors)]
    return "\n".join(lines) + "\n"


def _language_row(language: str, row: Mapping[str, Any]) -> str:
    examples = " ".join(row["unknown characters"]).replace("|", "\\|")
    return (
        f"| {language} | {row['lines']:,} | {row['words']:,} | {row['tokens']:,} "
        f"| {row['different tokens']:,} | {row['tokens a word']:.2f} "
        f"| {row['tokens a character']:.3f} | {row['share of unknowns']:.4%} | {examples} |"
    )


def _anchor_table(anchors: Mapping[str, Any]) -> list[str]:
    first, second = anchors["languages"]
    words = anchors["words"]

    def row(name: str, count: str, shares: Mapping[str, float], overlap: float) -> str:
        return f"| {name} | {count} | {shares[first]:.2%} | {shares[second]:.2%} | {overlap:.2%} |"

    def token_row(name: str, share: Mapping[str, Any]) -> str:
        return row(name, f"{share['tokens']:,}", share["share of running tokens"], share["overlap"])

    commonest = {
        kind: " ".join(f"`{e['token']}`" for e in anchors["commonest"] if e["kind"] == kind)
        for kind in anchors["kinds"]
    }
    missing = (
        []
        if anchors["dictionary"]
        else [
            "",
            f"The data has no dictionary of {first} and {second}, so cognates and accidental "
            "homographs are among the unlisted words.",
        ]
    )
    return [
        f"## Anchors of {first} and {second}",
        "",
        f"| anchors | tokens | of running {first} | of running {second} | overlap |",
        "| --- | ---: | ---: | ---: | ---: |",
        token_row("all", anchors),
        *(token_row(kind, share) for kind, share in anchors["kinds"].items()),
        row("whole words", "", words["share of running words"], words["overlap"]),
        *missing,
        "",
        f"The {len(anchors['commonest'])} that cover most of both, by kind:",
        "",
        *(f"- {kind}: {tokens}" for kind, tokens in commonest.items() if tokens),
    ]
