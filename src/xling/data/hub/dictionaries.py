"""Dictionaries from word lists in local files, such as MUSE's."""

from pathlib import Path

from xling.data.hub.dataset import clean
from xling.data.hub.spec import DictionarySource
from xling.data.hub.unit import Facts, Unit
from xling.data.lines import read_lines
from xling.data.problem import Problem, fail, shown
from xling.errors import XlingError
from xling.files import atomic_file, refuse_irregular


def dictionary_unit(pair: str, split: str, path: Path, source: DictionarySource) -> Unit:
    """Describe one split of a dictionary SRC-TGT.

    Raises:
        XlingError: The word list is not there.
    """
    refuse_irregular(path)
    if not path.exists():
        raise XlingError(f"{path}: not found; expected the word list of {pair}, {split}")
    place = f"dictionaries/{pair}.{split}.tsv"

    def write(root: Path) -> Facts:
        facts: Facts = Facts()
        with atomic_file(root / place) as file:
            for number, line in enumerate(read_lines(path), 1):
                facts["rows"] += 1
                words = [
                    clean(word) for word in (line.split("\t") if "\t" in line else line.split())
                ]
                if not words:
                    continue
                if len(words) != 2 or not all(words):
                    message = f"found {shown(line)}, expected a word and its translation"
                    fail(Problem(path, number, f"{message}, separated by a tab or by one space"))
                facts["lines"] += 1
                file.write("\t".join(words) + "\n")
        return facts

    return Unit(
        name=f"dictionaries/{pair}.{split}",
        part=f"dictionaries/{pair}",
        files=(place,),
        about={"source": source.source, "licence": source.licence},
        config={},
        write=write,
        inputs={split: path},
    )
