"""Small data folders, written file by file."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below ``tmp_path``; a name that ends in .gz is gzipped."""

    def _write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
        return path

    return _write


ENGLISH = "the cat sleeps on the warm mat\nit rains again\nwe shall see\n"
FRENCH = "le chat dort sur le tapis chaud\nil pleut encore\nnous verrons\n"
TREE = (
    "# text = cats sleep\n"
    "1\tcats\tcat\tNOUN\t_\t_\t2\tnsubj\t_\t_\n"
    "2\tsleep\tsleep\tVERB\t_\t_\t0\troot\t_\t_\n\n"
)


@pytest.fixture
def good(write: Write, tmp_path: Path) -> Path:
    """A small folder with every part, in English and French, without a fault."""
    write("data.yaml", "languages: [en, fr]\n")
    write("text/wiki/en.txt", ENGLISH)
    write("text/wiki/fr.txt.gz", FRENCH)
    write("parallel/talks/en.txt", "yes\nno\n")
    write("parallel/talks/fr.txt", "oui\nnon\n")
    write("dictionaries/en-fr.train.tsv", "cat\tchat\t0.5\ndog\tchien\n")
    write("dictionaries/en-fr.test.tsv", "house\tmaison\n")
    for language in ("en", "fr"):
        for number, split in enumerate(("train", "dev", "test")):
            mark = f"{language}{number}"
            write(f"nli/{language}/{split}.tsv", f"A {mark}.\tB.\tneutral\n")
            write(f"topics/{language}/{split}.tsv", f"{number}\tsports\tA match {mark}.\n")
            write(f"ner/{language}/{split}.iob2", f"in\tO\nNew\tB-LOC\nYork{mark}\tI-LOC\n\n")
            write(f"ud/{language}/{split}.conllu", TREE.replace("cats", f"cats{mark}"))
    return tmp_path
