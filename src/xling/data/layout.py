"""The data layout: the one interface that every source writes and every stage reads.

``docs/data.md`` shows the folder and explains each part. A missing part only
disables what needs it; asking for it raises an error that says what there is.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from xling.data.conllu import Tree, read_conllu
from xling.data.iob2 import TaggedSentence, read_gold, read_iob2
from xling.data.lines import lone_returns, read_lines
from xling.data.parallel_words import read_words
from xling.data.tables import read_dictionary, read_nli, read_topics
from xling.errors import XlingError
from xling.files import plain_or_gzipped, read_yaml
from xling.names import check_language, check_name, not_text

__all__ = ["DataFolder", "read_lines"]

SPLITS = ("train", "dev", "test")
TASK_ENDINGS = {"nli": ".tsv", "ner": ".iob2", "ud": ".conllu", "topics": ".tsv"}


class DataFolder:
    """A folder in the data layout; every file may be plain or ``.gz``.

    Attributes:
        root: The folder.
        languages: Those of ``data.yaml``, in its order; without one, those that have text (if
            none has, those of any part), sorted.

    Raises:
        XlingError: The folder is missing, ``data.yaml`` does not list languages, or there is
            no file of the layout at all.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            found = "is not a folder" if self.root.exists() else "not found"
            raise XlingError(f"{root}: {found}; expected a data folder with text/DOMAIN/LANG.txt")
        listed = self.root / "data.yaml"
        self.languages: tuple[str, ...] = (
            _listed_languages(listed) if listed.exists() else self._found_languages()
        )
        for language in self.languages:
            _check(self.root, language)

    def domains(self, language: str | None = None) -> tuple[str, ...]:
        """Return the sorted domains that have text in ``language`` (in any language, if None)."""
        return self._sets_with("text", (language,) if language else ())

    def text(self, domain: str, language: str) -> Path:
        """Return the text file of a language in a domain: ``LANG.txt`` or ``LANG.txt.gz``."""
        path = self.root / "text" / check_name(domain, "domain") / f"{check_language(language)}.txt"
        if domain not in self.domains():
            hint = f"the domains are {_series(self.domains())}"
        else:
            hint = f"{domain} has {_series(self.set_languages('text', domain))}"
            others = _series(self.domains(language))
            hint += f", and {language} has text in {others}"
        return _existing(path, hint)

    def parallel_sets(self, *languages: str) -> tuple[str, ...]:
        """Return the sorted names of the parallel sets that have all these languages."""
        return self._sets_with("parallel", languages)

    def sets_to_score(
        self, languages: tuple[str, ...], wanted: tuple[str, ...] | None = None
    ) -> tuple[str, ...]:
        """Return the parallel sets asked for, or all that have these languages.

        Raises:
            XlingError: One that was asked for lacks a language, or there is none.
        """
        there = self.parallel_sets(*languages)
        missing = [name for name in wanted or () if name not in there]
        if there and not missing and wanted != ():
            return there if wanted is None else wanted
        both = " and ".join(languages)
        if not there:
            files = " and ".join(f"NAME/{language}.txt" for language in languages)
            known = f"its sets are {_series(self.parallel_sets())}"
            advice = f"write lines that mean the same to {files}; {known}"
            raise XlingError(f"{self.root / 'parallel'}: no set has {both}; {advice}")
        asked = ", ".join(missing) or "named"
        raise XlingError(
            f"{self.root / 'parallel'}: no set {asked} with {both} (there are: {_series(there)})"
        )

    def parallel(self, name: str, *languages: str) -> dict[str, list[str]]:
        """Return the lines of a parallel set by language; line i means the same in each.

        Args:
            name: The set, e.g. ``"pud"``.
            languages: Which to read; all that the set has, if none is named.

        Raises:
            XlingError: A language is missing, line counts differ, or a file is a single line with
                lone carriage returns.
        """
        languages = languages or self.set_languages("parallel", check_name(name, "parallel set"))
        for language in languages:
            check_language(language)
        if not languages:
            raise XlingError(
                f"{self.root / 'parallel' / name}: no LANG.txt here; "
                f"the parallel sets are {_series(self.parallel_sets())}"
            )
        hint = f"{name} has {_series(self.set_languages('parallel', name))}"
        paths = {
            language: _existing(self.root / "parallel" / name / f"{language}.txt", hint)
            for language in languages
        }
        lines = {language: list(read_lines(path)) for language, path in paths.items()}
        for language, found in lines.items():
            if len(found) == 1 and (returns := lone_returns(found[0].count("\r"))):
                raise XlingError(f"{paths[language]}: found 1 line and {returns}")
        fault = unequal_counts({paths[key]: len(value) for key, value in lines.items()})
        if fault:
            for language, found in lines.items():
                if returns := lone_returns(sum(line.count("\r") for line in found)):
                    fault += f"; {paths[language].name} has {returns}"
            raise XlingError(f"{self.root / 'parallel' / name}: {fault}")
        return lines

    def words_file(self, name: str, language: str) -> Path | None:
        """Return the file of a parallel set's lines as words, ``LANG.words``, if it exists."""
        return plain_or_gzipped(self.root / "parallel" / name / f"{language}.words")

    def parallel_words(self, name: str, language: str) -> list[list[str]] | None:
        """Return the words of a parallel set's lines, from its ``LANG.words``; None without one.

        Raises:
            XlingError: It does not have the lines of ``LANG.txt``; see `parallel_words.read_words`.
        """
        path = self.words_file(name, language)
        if path is None:
            return None
        lines = self.root / "parallel" / name / f"{language}.txt"
        return list(read_words(path, _existing(lines, f"{path.name} is its lines as words")))

    def links_file(self, name: str, source: str, target: str) -> Path | None:
        """Return a parallel set's gold word alignments, ``SRC-TGT.align``, if they exist."""
        return plain_or_gzipped(self.root / "parallel" / name / f"{source}-{target}.align")

    def dictionary(self, source: str, target: str, split: str) -> list[tuple[str, str, float]]:
        """Return (source word, target word, weight) triples; weight 1.0 where the file has none.

        Args:
            source: Language of the first column.
            target: Language of the second column.
            split: ``"train"`` or ``"test"``.
        """
        return list(read_dictionary(self.dictionary_file(source, target, split)))

    def dictionary_file(self, source: str, target: str, split: str) -> Path:
        """Return the file of a dictionary.

        Raises:
            XlingError: there is none.
        """
        pair = f"{check_language(source)}-{check_language(target)}"
        path = self.root / "dictionaries" / f"{pair}.{split}.tsv"
        names = self.dictionaries()
        hint = f"the dictionaries are {_series(names)}" if names else "there is no dictionary"
        return _existing(path, hint)

    def dictionaries(self) -> tuple[str, ...]:
        """Return the sorted names of the dictionary files, e.g. ``"en-fr.train"``."""
        return _stems(self.root / "dictionaries", ".tsv")

    def splits(self, part: str, language: str) -> tuple[str, ...]:
        """Return which of train, dev and test exist for a language.

        Args:
            part: ``"nli"``, ``"ner"``, ``"ud"`` or ``"topics"``.
            language: The language.
        """
        found = _stems(self.root / part / language, TASK_ENDINGS[part])
        return tuple(split for split in SPLITS if split in found)

    def nli(self, language: str, split: str) -> list[tuple[str, str, str]]:
        """Return (premise, hypothesis, label) triples; see `tables.read_nli`."""
        return list(read_nli(self.task("nli", language, split)))

    def topics(self, language: str, split: str) -> list[tuple[str, str, str]]:
        """Return (id, label, text) triples; equal ids mean the same text in every language."""
        return list(read_topics(self.task("topics", language, split)))

    def ner(self, language: str, split: str) -> Iterator[tuple[list[str], list[str]]]:
        """Yield each sentence's (tokens, IOB2 tags), of equal length; see `iob2.read_gold`."""
        path = self.task("ner", language, split)
        sentences: Iterator[TaggedSentence] = read_gold(path, codes=(language,))
        return ((sentence.tokens, sentence.tags) for sentence in sentences)

    def treebank(self, language: str, split: str) -> Iterator[Tree]:
        """Yield the dependency trees of Universal Dependencies; see `conllu.read_conllu`."""
        return read_conllu(self.task("ud", language, split))

    def task(self, part: str, language: str, split: str) -> Path:
        """Return the file of a split of nli, ner, ud or topics in a language."""
        path = self.root / part / check_language(language) / f"{split}{TASK_ENDINGS[part]}"
        splits = self.splits(part, language)
        if splits:
            return _existing(path, f"{part} has {_series(splits)} of {language}")
        return _existing(path, f"{part} has {_series(self.task_languages(part))}")

    def task_languages(self, part: str) -> tuple[str, ...]:
        """Return the sorted languages that have any split of nli, ner, ud or topics."""
        folder = self.root / part
        if not folder.is_dir():
            return ()
        return tuple(sorted(entry.name for entry in folder.iterdir() if self._is_task(part, entry)))

    def set_languages(self, part: str, name: str) -> tuple[str, ...]:
        """Return the sorted languages of ``text/NAME`` or ``parallel/NAME``."""
        return _stems(self.root / part / name, ".txt")

    def _is_task(self, part: str, entry: Path) -> bool:
        return entry.is_dir() and bool(self.splits(part, entry.name))

    def _sets_with(self, part: str, languages: tuple[str, ...]) -> tuple[str, ...]:
        """Return the sorted folders of ``part`` with all these languages (and at least one)."""
        folder = self.root / part
        if not folder.is_dir():
            return ()
        found = {
            entry.name: self.set_languages(part, entry.name)
            for entry in folder.iterdir()
            if not entry.name.startswith(".")
        }
        names = sorted(name for name, has in found.items() if has and {*languages} <= {*has})
        for name in names:
            try:
                check_name(name, "domain" if part == "text" else "parallel set")
            except XlingError as error:
                raise XlingError(f"{folder / name}: {error}; rename the folder") from None
        return tuple(names)

    def _found_languages(self) -> tuple[str, ...]:
        """Infer the languages of a folder without data.yaml from its file names."""
        found: set[str] = set()
        for domain in self.domains():
            found.update(self.set_languages("text", domain))
        if not found:
            for name in self.parallel_sets():
                found.update(self.set_languages("parallel", name))
            for part in TASK_ENDINGS:
                found.update(self.task_languages(part))
        if not found:
            advice = "put one sentence or paragraph per line into text/DOMAIN/LANG.txt"
            raise XlingError(f"{self.root}: no file of the data layout here; {advice}")
        return tuple(sorted(found))


def unequal_counts(counts: dict[Path, int]) -> str | None:
    """Say that files of one parallel set have unequal line counts, or return None.

    The commonest count is taken for the right one, so that the message points at the file
    that most likely lost or gained a line.
    """
    if len(set(counts.values())) < 2:
        return None
    numbers = list(counts.values())
    right = max(numbers, key=numbers.count)
    first = next(path for path, count in counts.items() if count == right)
    odd = [f"{path.name} {count}" for path, count in counts.items() if count != right]
    found = f"unequal line counts: {first.name} has {right} lines but {', '.join(odd)}"
    return f"{found}; line i must mean the same in every language"


def _check(root: Path, language: str) -> None:
    """Refuse a language with an invalid name; the error names the file that it comes from."""
    try:
        check_language(language)
    except XlingError as error:
        listed = root / "data.yaml"
        if listed.is_file():
            raise XlingError(f"{listed}: languages: {error}") from None
        files = (path for path in root.glob("*/*/*") if path.name.startswith(f"{language}.txt"))
        place = next(files, root)
        raise XlingError(f"{place}: {error}; rename the file") from None


def _listed_languages(path: Path) -> tuple[str, ...]:
    """Read the languages of data.yaml."""
    content = read_yaml(path)
    languages = content.get("languages") if isinstance(content, dict) else None
    if not isinstance(languages, list) or not languages:
        found = "no list of languages"
    elif wrong := [language for language in languages if not isinstance(language, str)]:
        found = f"language {not_text(wrong[0]) or repr(wrong[0])}"
    elif len(set(languages)) < len(languages):
        found = f"a language twice in {languages}"
    else:
        return tuple(languages)
    raise XlingError(f"{path}: found {found}, expected for example `languages: [en, fr]`")


def _stems(folder: Path, ending: str) -> tuple[str, ...]:
    """Return the sorted names, without ending, of the files of a folder, plain or gzipped.

    Folders and pipes with such names are included, so that reading them raises an error.
    """
    if not folder.is_dir():
        return ()
    names = (entry.name.removesuffix(".gz") for entry in folder.iterdir() if entry.exists())
    stems = {name.removesuffix(ending) for name in names if name.endswith(ending)}
    return tuple(sorted(stem for stem in stems if stem and not stem.startswith(".")))


def _existing(path: Path, hint: str) -> Path:
    """Return the plain or gzipped file, or raise an error that names it and says what there is."""
    found = plain_or_gzipped(path)
    if found is None:
        raise XlingError(f"{path} (or .gz): not found; {hint}")
    return found


def _series(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


class Task(NamedTuple):
    """How to read one kind of task file, and what its records contain."""

    read: Callable[..., Iterator[Any]]
    text: Callable[[Any], str]
    sentences: Callable[[Any], Iterable[str]]
    labels: Callable[[Any], Iterable[str]]


def _tag_types(sentence: TaggedSentence) -> set[str]:
    return {tag[2:] for tag in sentence.tags if tag != "O"}


def _tree_text(tree: Tree) -> str:
    return tree.text or " ".join(tree.forms)


TASKS: dict[str, Task] = {
    "nli": Task(read_nli, lambda row: "\t".join(row[:2]), lambda row: row[:2], lambda row: row[2:]),
    "ner": Task(
        read_iob2,
        lambda sentence: " ".join(sentence.tokens),
        lambda sentence: [" ".join(sentence.tokens)],
        _tag_types,
    ),
    "ud": Task(
        read_conllu,
        lambda tree: " ".join(tree.forms),
        lambda tree: [_tree_text(tree)],
        lambda tree: (),
    ),
    "topics": Task(read_topics, lambda row: row[2], lambda row: row[2:], lambda row: row[1:2]),
}
