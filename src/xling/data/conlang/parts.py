"""The parts of the data folder, cut into jobs that any worker can do in any order.

A job is a pure function of the spec: it returns the text that it adds to each file. Whoever
collects the results in the order of the jobs gets the same bytes from any number of workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from xling.data.conlang.dictionaries import dictionary
from xling.data.conlang.gloss import gloss
from xling.data.conlang.language import Language, build_languages
from xling.data.conlang.nli import LABELS, draw_pairs
from xling.data.conlang.ownership import Source
from xling.data.conlang.presets import BASE
from xling.data.conlang.spec import PARAPHRASE, ConlangSpec
from xling.data.conlang.trees import Sentence, alignment, conllu, iob2, written
from xling.data.conlang.world import World

# Sentences a block, up to a whole number of documents.
_BLOCK = 2048


@dataclass(frozen=True)
class Job:
    """A piece of work: ``part`` names the method of `Workshop` that does it."""

    part: str
    language: str
    name: str = ""
    block: int = 0
    count: int = 0


class Workshop:
    """A world with its languages, ready to do jobs."""

    def __init__(self, spec: ConlangSpec) -> None:
        self.spec = spec
        self.world = World.build(spec)
        self.languages = build_languages(spec, self.world)
        self.source = Source(spec, self.world)
        self.block = block_size(spec)
        self._domain = next(iter(spec.domains))

    def do(self, job: Job) -> dict[str, str]:
        """Return the text that a job adds to each file (path relative to the data folder)."""
        method = getattr(self, job.part)
        result: dict[str, str] = method(job)
        return result

    def render(self, language: Language, owner: str, domain: str, job: Job) -> list[Sentence]:
        """Render a job's sentences in a language."""
        meanings, _ = self.source.draw(owner, domain, job.part, job.block, job.count)
        styles = self.source.styles(language.name, f"{job.part}-{domain}", job.block, job.count)
        sentence = language.grammar.sentence
        return [sentence(row, style) for row, style in zip(meanings.tolist(), styles, strict=True)]

    def text(self, job: Job) -> dict[str, str]:
        """Monolingual text of one domain."""
        language = self.languages[job.language]
        owner = self.source.owners.text(job.language)
        return {
            f"text/{job.name}/{job.language}.txt": _lines(
                self.render(language, owner, job.name, job), language.spec.spaces
            )
        }

    def parallel(self, job: Job) -> dict[str, str]:
        """Parallel lines in one language, with their alignment to the base."""
        base = self.languages[BASE]
        paraphrase = job.language == PARAPHRASE
        language = base if paraphrase else self.languages[job.language]
        purpose = f"parallel-{job.name}"
        meanings, _ = self.source.draw(
            "parallel", self._domain, purpose, 0, job.count, distinct=True
        )
        rows = meanings.tolist()
        styles = self.source.styles(BASE, purpose, 0, job.count)
        source = [base.grammar.sentence(*one) for one in zip(rows, styles, strict=True)]
        if job.language == BASE:
            return {f"parallel/{job.name}/{BASE}.txt": _lines(source, base.spec.spaces)}
        if paraphrase:
            styles = [reworded(style) for style in styles]
        else:
            styles = self.source.styles(job.language, purpose, 0, job.count)
        target = [language.grammar.sentence(*one) for one in zip(rows, styles, strict=True)]
        folder, spaces = f"parallel/{job.name}", language.spec.spaces
        files = {
            f"{folder}/{job.language}.txt": _lines(target, spaces),
            f"{folder}/{BASE}-{job.language}.align": "".join(
                f"{alignment(*pair)}\n" for pair in zip(source, target, strict=True)
            ),
        }
        if not spaces:
            files[f"{folder}/{job.language}.words"] = _lines(target, True)
        return files

    def ner(self, job: Job) -> dict[str, str]:
        """Named entities of one split: spans are those of the meaning's entities."""
        language = self.languages[job.language]
        entities, nouns = self.world.entities, self.world.spec.nouns
        blocks = [
            iob2(sentence, [entities.type_of(word.entity - nouns) for word in sentence])
            for sentence in self.render(language, job.name, self._domain, job)
        ]
        return {f"ner/{job.language}/{job.name}.iob2": "".join(blocks)}

    def ud(self, job: Job) -> dict[str, str]:
        """Dependency trees of one split."""
        language = self.languages[job.language]
        start = job.block * self.block
        blocks = [
            conllu(
                sentence,
                f"{job.language}-{job.name}-{number}",
                language.spec.spaces,
                [gloss(self.world, word) for word in sentence],
            )
            for number, sentence in enumerate(
                self.render(language, job.name, self._domain, job), start + 1
            )
        ]
        return {f"ud/{job.language}/{job.name}.conllu": "".join(blocks)}

    def topics(self, job: Job) -> dict[str, str]:
        """Texts of two sentences with their topic; equal ids mean the same in all languages."""
        language = self.languages[job.language]
        meanings, topics = self.source.draw(
            job.name, self._domain, job.part, job.block, 2 * job.count, length=2
        )
        styles = self.source.styles(language.name, f"topics-{job.name}", job.block, len(meanings))
        spaces = language.spec.spaces
        lines = [
            written(language.grammar.sentence(row, style), spaces)
            for row, style in zip(meanings.tolist(), styles, strict=True)
        ]
        start = job.block * self.block
        joint = " " if spaces else ""
        rows = [
            f"{job.name}-{start + number}\ttopic{topic:02d}\t{joint.join(lines[at : at + 2])}\n"
            for number, (at, topic) in enumerate(
                zip(range(0, len(lines), 2), topics[::2].tolist(), strict=True)
            )
        ]
        return {f"topics/{job.language}/{job.name}.tsv": "".join(rows)}

    def nli(self, job: Job) -> dict[str, str]:
        """Inference pairs of one split; the same pairs in all languages."""
        language = self.languages[job.language]
        premises, hypotheses, labels = draw_pairs(
            self.source, job.name, self._domain, job.block, job.count
        )
        styles = self.source.styles(language.name, f"nli-{job.name}", job.block, 2 * len(labels))
        sides = [
            [
                written(language.grammar.sentence(row, style), language.spec.spaces)
                for row, style in zip(rows.tolist(), some, strict=True)
            ]
            for rows, some in ((premises, styles[::2]), (hypotheses, styles[1::2]))
        ]
        rows = [
            f"{first}\t{second}\t{LABELS[label]}\n"
            for first, second, label in zip(*sides, labels, strict=True)
        ]
        return {f"nli/{job.language}/{job.name}.tsv": "".join(rows)}

    def dictionary(self, job: Job) -> dict[str, str]:
        """Dictionary from the base language."""
        base = self.languages[BASE]
        train, test = dictionary(self.spec, self.world, base, self.languages[job.language])
        stem = f"dictionaries/{BASE}-{job.language}"
        return {f"{stem}.train.tsv": train, f"{stem}.test.tsv": test}


def jobs(spec: ConlangSpec) -> Iterator[Job]:
    """Yield all jobs of a spec in the order in which their results belong in the files."""
    block = block_size(spec)
    others = [name for name in spec.languages if name != BASE]
    for name in others:
        yield Job("dictionary", name)
    for name in spec.languages:
        if spec.parallel.heldout:
            yield Job("parallel", name, "heldout", count=spec.parallel.heldout)
    for name in (BASE, PARAPHRASE):
        if spec.parallel.paraphrase:
            yield Job("parallel", name, "paraphrase", count=spec.parallel.paraphrase)
    for part in ("ner", "ud", "nli", "topics"):
        for split, size in getattr(spec, part):
            for language in spec.languages:
                yield from _blocks(part, language, split, size, block)
    for domain, text in spec.domains.items():
        for language in spec.languages:
            yield from _blocks("text", language, domain, text.sentences, block)


def _blocks(part: str, language: str, name: str, size: int, block: int) -> Iterator[Job]:
    for number, start in enumerate(range(0, size, block)):
        yield Job(part, language, name, number, min(block, size - start))


def block_size(spec: ConlangSpec) -> int:
    """Return how many sentences a block has: a whole number of documents."""
    return max(1, _BLOCK // spec.document) * spec.document


def reworded(style: int) -> int:
    """Return the style of a paraphrase: other synonyms, voice, clause order and fronting."""
    voice = 7 if style & 7 == 0 else 0
    fronting = 7 if (style >> 3) & 7 == 0 else 0
    return (~style & ((1 << 62) - 1)) & ~0b111111 | voice | fronting << 3


def _lines(sentences: list[Sentence], spaces: bool) -> str:
    return "".join([f"{written(sentence, spaces)}\n" for sentence in sentences])
