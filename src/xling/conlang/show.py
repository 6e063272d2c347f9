"""The same meanings in all languages, side by side with gloss, tree and translation."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from xling.conlang.generate import DataGenerator
from xling.conlang.spec import BASE, SPEC_FILE, ConlangSpec
from xling.conlang.trees import Sentence, gloss, written
from xling.conlang.world import World
from xling.errors import XlingError
from xling.files import read_yaml


def show(
    out: Path,
    count: int = 5,
    languages: Sequence[str] | None = None,
    console: Console | None = None,
) -> None:
    """Print held-out sentences in several languages, with glosses and trees.

    The sentences are the first of ``parallel/heldout``; they are generated again from the spec that
    the folder holds, so no gold needs to be read back.

    Args:
        out: A folder written by `generate`.
        count: Number of meanings.
        languages: Which languages; all of the folder if None.
        console: Where to print; standard output if None.

    Raises:
        XlingError: The folder was not generated, or does not have a language.
    """
    path = out / SPEC_FILE
    if not path.is_file():
        raise XlingError(f"{path}: not found; expected a folder written by `xling data conlang`")
    spec = ConlangSpec.parse(read_yaml(path), str(path))
    wanted = list(languages or spec.languages)
    unknown = sorted(set(wanted) - set(spec.languages))
    if unknown:
        raise XlingError(
            f"{out}: no language {', '.join(unknown)}; there are {', '.join(spec.languages)}"
        )
    generator = DataGenerator(spec, [BASE, *wanted])
    console = console or Console()
    meanings = generator.parallel_meanings("heldout", spec.parallel.heldout)[:count]
    rendered = {
        name: generator.render(name, meanings, "heldout") for name in dict.fromkeys((BASE, *wanted))
    }
    for number in range(len(meanings)):
        console.rule(f"{number + 1}: {written(rendered[BASE][number], True)}")
        for name in wanted:
            sentence = rendered[name][number]
            spaces = generator.languages[name].spec.spaces
            console.print(Text(f"{name}  ", style="bold") + Text(written(sentence, spaces)))
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
