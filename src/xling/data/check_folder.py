"""Checks of a data folder beyond single files: what is missing, misplaced or out of balance."""

from itertools import permutations
from pathlib import Path

from xling.data.findings import Check
from xling.data.layout import SPLITS, TASK_ENDINGS, DataFolder
from xling.data.lines import Problem, read_lines
from xling.data.parallel_words import read_links_of, read_words
from xling.files import plain_or_gzipped
from xling.names import cut_dictionary

# What each part is needed for, and what is disabled without it.
_USES = {
    "text": "vocabulary and pretraining",
    "parallel": "similarity by layer, retrieval, alignment of contexts",
    "dictionaries": "alignment and lexicon induction",
    "nli": "transfer of inference",
    "ner": "transfer of named-entity recognition",
    "ud": "transfer of parsing",
    "topics": "transfer of topic classification",
}
_HOMES = {
    ".txt": "text/DOMAIN/LANG.txt or parallel/NAME/LANG.txt",
    ".tsv": "dictionaries/SRC-TGT.train.tsv, or nli/LANG or topics/LANG with train, dev, test.tsv",
    ".iob2": "ner/LANG/train.iob2, dev.iob2 or test.iob2",
    ".conllu": "ud/LANG/train.conllu, dev.conllu or test.conllu",
}
# Parallel lines may come with their word alignment and, for unspaced languages, their words.
_ENDINGS = {"text": (".txt",), "parallel": (".txt", ".align", ".words")}
_FAR_LESS = 0.1  # of the characters of the language with most text


def check_languages(data: DataFolder, found: Check) -> None:
    """Compare data.yaml with the files: declared languages without data, and the reverse."""
    in_text = {language for name in data.domains() for language in data.set_languages("text", name)}
    anywhere = {language for row in found.rows for language in _row_languages(row.language, data)}
    for language in data.languages:
        if language not in anywhere:
            message = f"language {language} is listed but has no file in any part"
            found.report(Problem(data.root / "data.yaml", None, message))
        elif in_text and language not in in_text:
            message = f"{language} has no text: it can be measured but not pretrained on"
            found.warn(data.root / "text", message)
    if (data.root / "data.yaml").is_file():
        for language in sorted(anywhere - set(data.languages)):
            message = f"language {language} has files but is not listed, so stages ignore it"
            found.warn(data.root / "data.yaml", message)
    for domain in data.domains():
        lacking = [
            language
            for language in data.languages
            if language in in_text - {*data.set_languages("text", domain)}
        ]
        if lacking:
            found.warn(data.root / "text" / domain, f"no text in {', '.join(lacking)}")


def check_files(data: DataFolder, found: Check) -> None:
    """Find parallel sets of one language, files outside the layout, and duplicate files."""
    absent = [f"{part} ({use})" for part, use in _USES.items() if not _has(found, part)]
    if absent:
        found.warn(data.root, f"cannot be measured with these files: {'; '.join(absent)}")
    for name in data.parallel_sets():
        languages = data.set_languages("parallel", name)
        if len(languages) == 1:
            message = f"only {languages[0]}.txt is here, expected at least two languages"
            found.report(Problem(data.root / "parallel" / name, None, message))
    for path in sorted(data.root.rglob("*")):
        place = path.relative_to(data.root)
        if any(step.startswith(".") for step in place.parts) or not path.is_file():
            continue
        plain = place.with_name(place.name.removesuffix(".gz"))
        if _looks_like_data(plain) and not _in_layout(plain):
            found.warn(path, f"not a place of the data layout, so ignored; {_home(plain)}")
        elif plain != place and path.with_name(plain.name).is_file():
            found.warn(path, f"ignored, because {plain.name} exists too; delete one of them")


def check_words_and_links(data: DataFolder, name: str, found: Check) -> None:
    """Read the words and word alignments of a parallel set, and find those that nothing reads."""
    folder = data.root / "parallel" / name
    languages = data.set_languages("parallel", name)
    lines = {language: plain_or_gzipped(folder / f"{language}.txt") for language in languages}
    sizes: dict[str, list[int]] = {}
    read: set[Path] = set()
    for language, path in lines.items():
        words = data.words_file(name, language)
        assert path is not None
        if words is not None:
            read.add(words)
            sizes[language] = [len(line) for line in read_words(words, path, found.report)]
    for one, other in permutations(languages, 2):
        links = data.links_file(name, one, other)
        if links is None:
            continue
        read.add(links)
        for language in (one, other):
            if not sizes.get(language):
                sizes[language] = _white_space_words(lines[language])
        pairs = list(zip(sizes[one], sizes[other], strict=False))
        if len(sizes[one]) == len(sizes[other]):
            for _ in read_links_of(links, pairs, found.report):
                pass
    for path in sorted(folder.iterdir()):
        plain = path.name.removesuffix(".gz")
        if plain.endswith((".words", ".align")) and path not in read and plain[0] != ".":
            expected = "LANG.words" if plain.endswith(".words") else "SRC-TGT.align"
            message = f"not read: expected {expected} of languages that have LANG.txt here"
            found.warn(path, message)


def _white_space_words(path: Path | None) -> list[int]:
    assert path is not None
    return [len(line.split()) for line in read_lines(path, lambda problem: None)]


def check_splits(data: DataFolder, found: Check) -> None:
    """Find parts that lack splits or languages that a score would need."""
    for part in TASK_ENDINGS:
        languages = data.task_languages(part)
        splits = {language: data.splits(part, language) for language in languages}
        if languages and not any("train" in has for has in splits.values()):
            found.warn(data.root / part, "no language has train, so there is nothing to learn from")
        for language, has in splits.items():
            lacking = [split for split in SPLITS if split not in has]
            if "train" in has and lacking:
                found.warn(data.root / part / language, _lacking(lacking))
        unscored = [language for language in data.languages if language not in languages]
        if languages and unscored:
            found.warn(data.root / part, f"nothing in {', '.join(unscored)}: not scored there")
    names = data.dictionaries()
    for name in names:
        pair, _, split = name.rpartition(".")
        path = data.root / "dictionaries"
        if split == "train" and f"{pair}.test" not in names:
            found.warn(path, f"{pair} has train but no test: lexicon induction cannot be scored")
        if split == "test" and f"{pair}.train" not in names:
            found.warn(path, f"{pair} has test but no train: nothing to learn an alignment from")


def check_balance(data: DataFolder, found: Check) -> None:
    """Find languages with far less text than others, and files in an unexpected script."""
    characters: dict[str, int] = {}
    by_script: dict[str, dict[str, float]] = {}
    for row in found.rows:
        if row.part == "text":
            characters[row.language] = characters.get(row.language, 0) + row.characters
        totals = by_script.setdefault(row.language, {})
        for script, share in row.scripts.items():
            totals[script] = totals.get(script, 0.0) + share * row.characters
    most = max(characters.values(), default=0)
    for language, count in characters.items():
        if count < _FAR_LESS * most:
            message = f"{language} has {count / most:.1%} of the characters of the largest language"
            advice = "raise its share by the language exponent, or expect weak results in it"
            found.warn(data.root / "text", f"{message}; {advice}")
    for row in found.rows:
        totals = by_script[row.language]
        usual = max(totals, key=lambda script: totals[script], default="")
        # Japanese and others mix scripts, so only a file that almost lacks the usual one is odd.
        if row.part != "dictionaries" and row.scripts and row.scripts.get(usual, 0) < _FAR_LESS:
            place = f"{row.name} in {row.language} is mostly {next(iter(row.scripts))}"
            message = f"{place}, the language's other files mostly {usual}"
            found.warn(data.root / row.part, f"{message}; is it the right file?")


def _row_languages(language: str, data: DataFolder) -> set[str]:
    """Return the languages of a row: one, or the two of a dictionary ``SRC-TGT``."""
    if language in data.languages or "-" not in language:
        return {language}
    cut = cut_dictionary(language, data.languages)
    return {*cut} if {*cut} <= {*data.languages} else {language}


def _has(found: Check, part: str) -> bool:
    return any(row.part == part for row in found.rows)


def _looks_like_data(place: Path) -> bool:
    """Tell whether a file may be meant as data; README.txt is for people."""
    if place.stem.isupper():
        return False
    return place.suffix in _HOMES or (len(place.parts) > 1 and place.parts[0] in _USES)


def _in_layout(place: Path) -> bool:
    """Tell whether a path inside the folder (without .gz) is one that the layout names."""
    part, *rest = place.parts
    if part in ("text", "parallel"):
        return len(rest) == 2 and place.suffix in _ENDINGS[part]
    if part == "dictionaries":
        pair, _, split = place.stem.rpartition(".")
        named = bool(pair) and split in ("train", "test")
        return len(rest) == 1 and place.suffix == ".tsv" and named
    ending = TASK_ENDINGS.get(part)
    return len(rest) == 2 and place.suffix == ending and place.stem in SPLITS


def _home(place: Path) -> str:
    """Say where a file of this kind belongs."""
    return f"expected {_HOMES.get(place.suffix, 'files of the layout only')}"


def _lacking(splits: list[str]) -> str:
    uses = {"dev": "dev (to choose a checkpoint by)", "test": "test (to score on)"}
    return f"train is here but not {' nor '.join(uses[split] for split in splits)}"
