"""A complete data folder from a specification, cut into jobs that any worker can do in any order.

A job is a pure function of the specification: it returns the text that it adds to each file.
Results are collected in the order of the jobs, so any number of workers gives the same bytes.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from xling.artefact import building, check_output, describe, is_current
from xling.conlang.language import build_languages, dictionary, lexeme_counts, sample_meanings
from xling.conlang.meaning import Meanings, Source
from xling.conlang.nli import LABELS, draw_pairs
from xling.conlang.spec import BASE, PARAPHRASE, SPEC_FILE, ConlangSpec
from xling.conlang.trees import Sentence, alignment, conllu, gloss, iob2, written
from xling.conlang.world import World
from xling.errors import XlingError
from xling.files import atomic_file, read_yaml
from xling.progress import bar
from xling.workers import ordered_map

# Sentences per block, rounded down to a whole number of documents.
_BLOCK = 2048


@dataclass(frozen=True)
class Job:
    """A piece of work: ``part`` names the method of `DataGenerator` that does it.

    Attributes:
        part: Part of the data folder.
        name: Its set, domain or split.
        block: Number of the block.
        count: Sentences, pairs or texts of the block.
        language: The language; all of them if empty.
    """

    part: str
    name: str = ""
    block: int = 0
    count: int = 0
    language: str = ""


class DataGenerator:
    """A world with its languages, ready to do jobs.

    Args:
        spec: What to generate.
    """

    def __init__(self, spec: ConlangSpec) -> None:
        self.spec = spec
        self.world = World(spec)
        self.languages = build_languages(spec, self.world)
        self.source = Source(spec, self.world)
        self.domain = next(iter(spec.domains))
        self._block = block_size(spec)

    def do(self, job: Job) -> dict[str, str]:
        """Return the text that a job adds to each file (path relative to the data folder)."""
        files: dict[str, str] = getattr(self, job.part)(job)
        return files

    def render(
        self, language: str, meanings: Meanings, purpose: str, block: int = 0
    ) -> list[Sentence]:
        """Render meanings in a language, in its own wordings.

        Args:
            language: A code of the spec, or that of the base's paraphrase.
            meanings: Shape [N, WIDTH].
            purpose: What they are for; together with the block, it decides the wordings.
            block: Number of the block.
        """
        reworded = language == PARAPHRASE
        spoken = self.languages[BASE if reworded else language]
        styles = self.source.styles(spoken.name, purpose, block, len(meanings))
        if reworded:
            styles = [other_style(style) for style in styles]
        sentence = spoken.grammar.sentence
        return [sentence(row, style) for row, style in zip(meanings.tolist(), styles, strict=True)]

    def text(self, job: Job) -> dict[str, str]:
        """Monolingual text of one domain in one language."""
        owner = self.source.owners.text(job.language)
        meanings, _ = self.source.draw(owner, job.name, "text", job.block, job.count)
        sentences = self.render(job.language, meanings, f"text-{job.name}", job.block)
        return {
            f"text/{job.name}/{job.language}.txt": _lines(sentences, self._spaces(job.language))
        }

    def parallel(self, job: Job) -> dict[str, str]:
        """Parallel lines, with each language's alignment to the base."""
        folder, files = f"parallel/{job.name}", {}
        languages = (BASE, PARAPHRASE) if job.name == "paraphrase" else tuple(self.languages)
        meanings = self.parallel_meanings(job.name, job.count)
        source = self.render(BASE, meanings, job.name)
        for language in languages:
            target = self.render(language, meanings, job.name)
            files[f"{folder}/{language}.txt"] = _lines(target, self._spaces(language))
            if not self._spaces(language):
                files[f"{folder}/{language}.words"] = _lines(target, True)
            if language != BASE:
                files[f"{folder}/{BASE}-{language}.align"] = "".join(
                    f"{alignment(*pair)}\n" for pair in zip(source, target, strict=True)
                )
        return files

    def parallel_meanings(self, name: str, count: int) -> Meanings:
        """Return the meanings of the parallel set ``name``, shape [count, WIDTH]."""
        owner = "train" if name == "train" else "parallel"
        meanings, _ = self.source.draw(
            owner, self.domain, f"parallel-{name}", 0, count, distinct=True
        )
        return meanings

    def ner(self, job: Job) -> dict[str, str]:
        """Named entities of one split: spans are those of the meaning's entities."""
        entities, nouns = self.world.entities, self.world.spec.nouns
        meanings, _ = self.source.draw(job.name, self.domain, "ner", job.block, job.count)
        return {
            f"ner/{language}/{job.name}.iob2": "".join(
                iob2(sentence, [entities.type_of(word.entity - nouns) for word in sentence])
                for sentence in self.render(language, meanings, f"ner-{job.name}", job.block)
            )
            for language in self.languages
        }

    def ud(self, job: Job) -> dict[str, str]:
        """Dependency trees of one split."""
        meanings, _ = self.source.draw(job.name, self.domain, "ud", job.block, job.count)
        start = job.block * self._block + 1
        files = {}
        for language in self.languages:
            sentences = self.render(language, meanings, f"ud-{job.name}", job.block)
            files[f"ud/{language}/{job.name}.conllu"] = "".join(
                conllu(
                    sentence,
                    f"{language}-{job.name}-{number}",
                    self._spaces(language),
                    [gloss(self.world, word) for word in sentence],
                )
                for number, sentence in enumerate(sentences, start)
            )
        return files

    def topics(self, job: Job) -> dict[str, str]:
        """Texts of two sentences with their topic; equal ids mean the same in all languages."""
        meanings, topics = self.source.draw(
            job.name, self.domain, "topics", job.block, 2 * job.count, length=2
        )
        start, labels = job.block * self._block + 1, topics[::2].tolist()
        files = {}
        for language in self.languages:
            sentences = self.render(language, meanings, f"topics-{job.name}", job.block)
            joint = " " if self._spaces(language) else ""
            lines = [written(sentence, self._spaces(language)) for sentence in sentences]
            texts = map(joint.join, zip(lines[::2], lines[1::2], strict=True))
            files[f"topics/{language}/{job.name}.tsv"] = "".join(
                f"{job.name}-{number}\ttopic{label:02d}\t{text}\n"
                for number, (label, text) in enumerate(zip(labels, texts, strict=True), start)
            )
        return files

    def nli(self, job: Job) -> dict[str, str]:
        """Inference pairs of one split; the same pairs in all languages."""
        *rows, labels = draw_pairs(self.source, job.name, self.domain, job.block, job.count)
        files = {}
        for language in self.languages:
            sides = [
                [
                    written(sentence, self._spaces(language))
                    for sentence in self.render(language, side, f"{name}-{job.name}", job.block)
                ]
                for name, side in zip(("premise", "hypothesis"), rows, strict=True)
            ]
            files[f"nli/{language}/{job.name}.tsv"] = "".join(
                f"{premise}\t{hypothesis}\t{LABELS[label]}\n"
                for premise, hypothesis, label in zip(*sides, labels, strict=True)
            )
        return files

    def dictionaries(self, job: Job) -> dict[str, str]:
        """Dictionaries from the base language to every other."""
        base, files = self.languages[BASE], {}
        counts = lexeme_counts(base, sample_meanings(self.spec, self.world))
        for name, language in self.languages.items():
            if name != BASE:
                parts = dictionary(base, language, counts, self.spec.dictionary_test)
                for split, rows in zip(("train", "test"), parts, strict=True):
                    files[f"{job.part}/{BASE}-{name}.{split}.tsv"] = rows
        return files

    def _spaces(self, language: str) -> bool:
        return self.languages[BASE if language == PARAPHRASE else language].spec.spaces


def jobs(spec: ConlangSpec) -> Iterator[Job]:
    """Yield all jobs of a spec in the order in which their results belong in the files."""
    block = block_size(spec)
    yield Job("dictionaries")
    for name, size in spec.parallel:
        if size:
            yield Job("parallel", name, count=size)
    for part in ("ner", "ud", "nli", "topics"):
        for split, size in getattr(spec, part):
            for number, start in enumerate(range(0, size, block)):
                yield Job(part, split, number, min(block, size - start))
    for domain, text in spec.domains.items():
        for language in spec.languages:
            for number, start in enumerate(range(0, text.sentences, block)):
                yield Job("text", domain, number, min(block, text.sentences - start), language)


def block_size(spec: ConlangSpec) -> int:
    """Return how many sentences a block has: a whole number of documents."""
    return max(1, _BLOCK // spec.document) * spec.document


def other_style(style: int) -> int:
    """Return the style of a paraphrase: other synonyms, voice, clause order and fronting."""
    voice = 7 if style & 7 == 0 else 0
    fronting = 7 if (style >> 3) & 7 == 0 else 0
    return (~style & ((1 << 62) - 1)) & ~0b111111 | voice | fronting << 3


def _lines(sentences: list[Sentence], spaces: bool) -> str:
    return "".join([f"{written(sentence, spaces)}\n" for sentence in sentences])


def generate(spec: ConlangSpec, out: Path, workers: int = 1) -> None:
    """Write the data folder of a spec; do nothing if ``out`` already holds it.

    The bytes of all data files depend on the spec only, not on ``workers`` or the machine.
    Memory does not grow with the number of sentences.

    Args:
        spec: What to generate.
        out: The folder to write, in the data layout.
        workers: Number of processes.
    """
    check_output(out, "conlang")
    description = describe("conlang", spec.model_dump(mode="json"), {})
    if is_current(out, description):
        return
    todo = list(jobs(spec))
    with building(out, description) as folder:
        with bar(
            "Writing sentences", sum(_size(job, spec) for job in todo), "sentences"
        ) as advance:
            done = ordered_map(partial(_work, spec), todo, workers)
            for job, files in zip(todo, done, strict=True):
                for name, text in files.items():
                    _append(folder / name, text)
                advance(_size(job, spec), f"Writing {job.part} {job.name} {job.language}")
        _write_record(folder, spec)


def _size(job: Job, spec: ConlangSpec) -> int:
    """Return how many sentences a job writes, all languages together."""
    return job.count if job.language else job.count * len(spec.languages)


def _work(spec: ConlangSpec) -> Callable[[Job], dict[str, str]]:
    return DataGenerator(spec).do


def _append(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _write_record(folder: Path, spec: ConlangSpec) -> None:
    """Write data.yaml (what the folder holds) and the spec it came from."""
    parts = sorted(path.name for path in folder.iterdir() if path.is_dir())
    record = {
        "languages": list(spec.languages),
        "parts": {
            part: {"source": "xling conlang", "seed": spec.seed, "licence": "CC0-1.0"}
            for part in parts
        },
    }
    for name, value in (("data.yaml", record), (SPEC_FILE, spec.model_dump(mode="json"))):
        with atomic_file(folder / name) as file:
            yaml.safe_dump(value, file, sort_keys=False, allow_unicode=True)


def show(out: Path, count: int = 5, console: Console | None = None) -> None:
    """Print held-out sentences in all languages side by side, with glosses and trees.

    The sentences are the first of ``parallel/heldout``. They are generated again from the spec in
    the folder, so no gold needs to be read back.

    Args:
        out: A folder written by `generate`.
        count: Number of meanings.
        console: Where to print; standard output if None.

    Raises:
        XlingError: The folder was not generated.
    """
    path = out / SPEC_FILE
    if not path.is_file():
        raise XlingError(f"{path}: not found; expected a folder written by `xling data conlang`")
    generator = DataGenerator(ConlangSpec.parse(read_yaml(path), str(path)))
    console = console or Console()
    meanings = generator.parallel_meanings("heldout", generator.spec.parallel.heldout)[:count]
    rendered = {name: generator.render(name, meanings, "heldout") for name in generator.languages}
    for number in range(len(meanings)):
        console.rule(f"{number + 1}: {written(rendered[BASE][number], True)}")
        for name, language in generator.languages.items():
            sentence = rendered[name][number]
            line = written(sentence, language.spec.spaces)
            console.print(Text(f"{name}  ", style="bold") + Text(line))
            console.print(_words(sentence, generator.world))


def _words(sentence: Sentence, world: World) -> RenderableType:
    """Return a table of a sentence's words: form, gloss, part of speech, and the tree."""
    table = Table(box=None, padding=(0, 1, 0, 1), header_style="dim")
    for title in ("", "word", "gloss", "part of speech", "tree"):
        table.add_column(title, no_wrap=True)
    branches = tree_lines(sentence)
    for number, (word, branch) in enumerate(zip(sentence, branches, strict=True), 1):
        table.add_row(str(number), word.form, gloss(world, word), word.upos, branch)
    return Group(table, "")


def tree_lines(sentence: Sentence) -> list[str]:
    """Draw a dependency tree beside the words: each word's relation, indented by its depth."""
    lines = []
    place = {id(word): number for number, word in enumerate(sentence, 1)}
    for word in sentence:
        depth, above = 0, word.head
        while above is not None:
            depth, above = depth + 1, above.head
        governor = "" if word.head is None else f" → {place[id(word.head)]}"
        lines.append(f"{'· ' * depth}{word.deprel}{governor}")
    return lines
