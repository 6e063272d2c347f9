"""The parts of the data folder, cut into jobs that any worker can do in any order.

A job is a pure function of the spec: it returns the text that it adds to each file. Whoever
collects the results in the order of the jobs gets the same bytes from any number of workers.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from xling.data.conlang.dictionaries import dictionary
from xling.data.conlang.language import Language, build_languages
from xling.data.conlang.ownership import Source
from xling.data.conlang.presets import BASE
from xling.data.conlang.spec import PARAPHRASE, ConlangSpec
from xling.data.conlang.trees import Sentence, alignment, written
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

    def dictionary(self, job: Job) -> dict[str, str]:
        """Dictionary from the base language."""
        base = self.languages[BASE]
        train, test = dictionary(self.spec, self.world, base, self.languages[job.language])
        stem = f"dictionaries/{BASE}-{job.language}"
        return {f"{stem}.train.tsv": train, f"{stem}.test.tsv": test}


def jobs(spec: ConlangSpec) -> Iterator[Job]:
    """Yield all jobs of a spec in the order in which their results belong in the files."""
    block = max(1, _BLOCK // spec.document) * spec.document
    others = [name for name in spec.languages if name != BASE]
    for name in others:
        yield Job("dictionary", name)
    for name in spec.languages:
        if spec.parallel.heldout:
            yield Job("parallel", name, "heldout", count=spec.parallel.heldout)
    for name in (BASE, PARAPHRASE):
        if spec.parallel.paraphrase:
            yield Job("parallel", name, "paraphrase", count=spec.parallel.paraphrase)
    for domain, size in spec.domains.items():
        for language in spec.languages:
            for number, start in enumerate(range(0, size.sentences, block)):
                count = min(block, size.sentences - start)
                yield Job("text", language, domain, number, count)


def reworded(style: int) -> int:
    """Return the style of a paraphrase: other synonyms, voice, clause order and fronting."""
    voice = 7 if style & 7 == 0 else 0
    fronting = 7 if (style >> 3) & 7 == 0 else 0
    return (~style & ((1 << 62) - 1)) & ~0b111111 | voice | fronting << 3


def _lines(sentences: list[Sentence], spaces: bool) -> str:
    return "".join([f"{written(sentence, spaces)}\n" for sentence in sentences])
