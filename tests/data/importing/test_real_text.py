"""Real text, written in each format that corpora come in, comes back line by line."""

import bz2
import csv
import gzip
import html
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import pytest

from xling.data.conllu import read_conllu
from xling.data.iob2 import read_gold
from xling.data.lines import read_lines
from xling.data.tables import read_dictionary, read_nli, read_topics

LINES = 1200


@pytest.fixture(scope="module")
def texts(real_data) -> dict[str, list[str]]:
    """Lines of a handbook in scripts with and without spaces."""
    found = {}
    for code in ("fr", "zh", "ru"):
        lines = read_lines(real_data / f"text/handbook/{code}.txt")
        found[code] = [line for line, _ in zip(lines, range(LINES), strict=False)]
    return found


def as_csv(lines: list[str], **options) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, **options)
    writer.writerow(["id", "text"])
    writer.writerows(enumerate(lines))
    return out.getvalue().encode()


def as_zstd(raw: bytes) -> bytes:
    import zstandard

    # Two frames, as parallel writers make them.
    half = raw.index(b"\n", len(raw) // 2) + 1
    return b"".join(zstandard.compress(piece) for piece in (raw[:half], raw[half:]))


def as_parquet(lines: list[str], code: str) -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    table = pyarrow.table({"url": ["u"] * len(lines), "text": lines})
    parquet.write_table(table, out, row_group_size=500)
    return out.getvalue()


def as_articles(lines: list[str]) -> bytes:
    """As WikiExtractor writes them: a title, then paragraphs with HTML's marks escaped."""
    articles = []
    for n in range(0, len(lines), 10):
        body = "\n".join(html.escape(line, quote=False) for line in lines[n : n + 10])
        head = f'<doc id="{n}" url="https://fr.wikipedia.org/wiki?curid={n}" title="Titre {n}">'
        articles.append(f"{head}\nTitre {n}\n\n{body}\n\n</doc>\n")
    return "".join(articles).encode()


def as_article_json(lines: list[str]) -> bytes:
    rows = [
        {
            **{"id": str(n), "revid": "1", "url": "https://fr.wikipedia.org/wiki?curid=1"},
            **{"title": f"T {n}", "text": html.escape("\n".join(lines[n : n + 10]), quote=False)},
        }
        for n in range(0, len(lines), 10)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def plain(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


TEXT: dict[str, Callable[[list[str], str], bytes]] = {
    "blog.{}.txt": lambda lines, code: plain(lines),
    "blog.{}.txt.gz": lambda lines, code: gzip.compress(plain(lines)),
    "blog.{}.zst": lambda lines, code: as_zstd(plain(lines)),
    "blog.{}.xz": lambda lines, code: lzma.compress(plain(lines)),
    "blog.{}.bz2": lambda lines, code: bz2.compress(plain(lines)),
    "blog.{}.misnamed": lambda lines, code: gzip.compress(plain(lines)),
    "blog.{}.windows.txt": lambda lines, code: (
        b"\xef\xbb\xbf" + plain(lines).replace(b"\n", b"\r\n")
    ),
    "blog.{}.jsonl": lambda lines, code: "".join(
        json.dumps({"id": n, "text": line}, ensure_ascii=bool(n % 2)) + "\n"
        for n, line in enumerate(lines)
    ).encode(),
    "blog.{}.csv": lambda lines, code: as_csv(lines),
    "blog.{}.semicolons.csv": lambda lines, code: as_csv(lines, delimiter=";"),
    "blog.{}.tsv": lambda lines, code: as_csv(lines, delimiter="\t"),
    "blog.{}.parquet": as_parquet,
    "{}wiki/AA/wiki_00": lambda lines, code: as_articles(lines),
    "{}/AA/wiki_00.bz2": lambda lines, code: bz2.compress(as_article_json(lines)),
}


@pytest.mark.parametrize("name", TEXT)
def test_text(name, texts, write, imported):
    paths = [write(name.format(code), b"") for code in texts]
    for path, (code, lines) in zip(paths, texts.items(), strict=True):
        path.write_bytes(TEXT[name](lines, code))
    sources = [path.parents[1] if "AA" in path.parts else path for path in paths]
    found = imported(*sources, part="text/handbook")
    assert found.files() == {f"text/handbook/{code}.txt" for code in texts}
    for code, lines in texts.items():
        assert found.lines(f"text/handbook/{code}.txt") == lines


@pytest.fixture(scope="module")
def pud(real_data) -> dict[str, list[str]]:
    return {c: list(read_lines(real_data / f"parallel/pud/{c}.txt")) for c in ("en", "fr", "zh")}


def as_tmx(pud: dict[str, list[str]]) -> str:
    units = [
        "<tu>"
        + "".join(
            f"<tuv xml:lang={quoteattr(code)}><seg>{escape(line)}</seg></tuv>"
            for code, line in zip(pud, lines, strict=True)
        )
        + "</tu>\n"
        for lines in zip(*pud.values(), strict=True)
    ]
    head = '<?xml version="1.0" encoding="utf-8"?>\n<tmx version="1.4"><header srclang="en"/><body>'
    return f"{head}\n{''.join(units)}</body></tmx>\n"


def write_moses(pud, write) -> list[Path]:
    return [write(f"pud.{code}", plain(lines)) for code, lines in pud.items()]


def write_tmx(pud, write) -> list[Path]:
    return [write("pud.tmx.gz", as_tmx({c: pud[c] for c in ("en", "fr")}))]


def write_columns(pud, write) -> list[Path]:
    rows = ["\t".join(pud), *("\t".join(row) for row in zip(*pud.values(), strict=True))]
    return [write("pud.tsv", "\n".join(rows) + "\n")]


def write_translations(pud, write) -> list[Path]:
    rows = [dict(zip(pud, row, strict=True)) for row in zip(*pud.values(), strict=True)]
    return [write("pud.jsonl", "".join(json.dumps({"translation": r}) + "\n" for r in rows))]


def write_pairs(pud, write) -> list[Path]:
    """As Tatoeba's pairs: two columns without a head."""
    rows = zip(pud["en"], pud["fr"], strict=True)
    return [write("pud.en-fr.tsv", "".join(f"{a}\t{b}\n" for a, b in rows))]


def write_flores(pud, write) -> list[Path]:
    codes = {"en": "eng_Latn", "fr": "fra_Latn", "zh": "zho_Hans"}
    for code, lines in pud.items():
        write(f"flores/dev/{codes[code]}.dev", plain(lines))
        last = write(f"flores/devtest/{codes[code]}.devtest", plain(lines[::-1]))
    write("flores/README", "about")
    return [last.parents[1]]


def write_ntrex(pud, write) -> list[Path]:
    names = {"en": "src.eng", "fr": "ref.fra", "zh": "ref.zho-CN"}
    for code, lines in pud.items():
        last = write(f"NTREX-128/newstest2019-{names[code]}.txt", plain(lines))
    # A second version of the English, which is no translation of the first.
    write("NTREX-128/newstest2019-ref.eng-US.txt", plain(pud["en"][::-1]))
    write("NTREX-128/newstest2019-ref-2.fra.txt", plain(pud["fr"][::-1]))
    write("NTREX-128/LANGUAGES.tsv", "code\tname\n")
    return [last.parent]


@pytest.mark.parametrize(
    ("writer", "name", "codes"),
    [
        (write_moses, "pud", "en fr zh"),
        (write_tmx, "pud", "en fr"),
        (write_columns, "pud", "en fr zh"),
        (write_translations, "pud", "en fr zh"),
        (write_pairs, "pud", "en fr"),
        (write_flores, "flores-dev", "en fr zh"),
        (write_ntrex, "ntrex", "en fr zh"),
    ],
)
def test_parallel_lines(writer, name, codes, pud, write, imported):
    found = imported(*writer(pud, write))
    for code in codes.split():
        assert found.lines(f"parallel/{name}/{code}.txt") == pud[code]
    sets = {"flores-dev", "flores-devtest"} if "flores" in name else {name}
    assert found.files() == {f"parallel/{n}/{c}.txt" for n in sets for c in codes.split()}


def test_only_the_languages_that_are_asked_for(pud, write, imported):
    found = imported(*write_flores(pud, write), languages="fra,zho_Hans")
    assert {Path(name).stem for name in found.files()} == {"fr", "zh"}


def test_dictionaries_as_muse_s(real_data, write, imported):
    entries = {}
    for split, theirs in (("train", "0-5000"), ("test", "5000-6500")):
        triples = read_dictionary(real_data / f"dictionaries/en-fr.{split}.tsv")
        pairs = entries[split] = [(a, b) for a, b, _ in triples if " " not in a + b]
        mark = {"train": " ", "test": "\t"}[split]  # MUSE has both
        last = write(f"muse/en-fr.{theirs}.txt", "".join(f"{a}{mark}{b}\n" for a, b in pairs))
    found = imported(last.parent)
    for split, pairs in entries.items():
        path = found.out / f"dictionaries/en-fr.{split}.tsv"
        assert [(a, b) for a, b, _ in read_dictionary(path)] == pairs


def test_pairs_of_sentences_as_xnli_s(real_data, write, imported):
    rows = {c: list(read_nli(real_data / f"nli/{c}/dev.tsv")) for c in ("fr", "zh")}
    columns = [
        "language",
        "gold_label",
        "sentence1_binary_parse",
        "sentence1",
        "sentence2",
        "match",
    ]
    lines = ["\t".join(columns)]
    objects = []
    for code, triples in rows.items():
        for premise, hypothesis, label in triples:
            lines.append("\t".join([code, label, "", premise, hypothesis, "True"]))
            objects.append(
                {
                    "gold_label": label,
                    "language": code,
                    "sentence1": premise,
                    "sentence2": hypothesis,
                }
            )
    write("XNLI-1.0/xnli.dev.tsv", "\n".join(lines) + "\n")
    folder = write(
        "XNLI-1.0/xnli.dev.jsonl",
        "".join(json.dumps(o, ensure_ascii=False) + "\n" for o in objects),
    ).parent
    found = imported(folder)
    alone = imported(folder / "xnli.dev.jsonl", out="alone")
    for code, triples in rows.items():
        for of in (found, alone):
            assert list(read_nli(of.out / f"nli/{code}/dev.tsv")) == triples
    assert found.files() == {"nli/fr/dev.tsv", "nli/zh/dev.tsv"}


def test_topics_as_sib_200_s(real_data, write, imported):
    codes = {"fr": "fra_Latn", "zh": "zho_Hans"}
    rows = {}
    for code, theirs in codes.items():
        for split in ("train", "dev", "test"):
            place = f"topics/{code}/{split}.tsv"
            rows[place] = list(read_topics(real_data / place))
            out = io.StringIO()
            # As pandas writes them: quotes where a text has quotation marks.
            writer = csv.writer(out, delimiter="\t", lineterminator="\n")
            writer.writerows([["index_id", "category", "text"], *rows[place]])
            last = write(f"annotated/{theirs}/{split}.tsv", out.getvalue())
        write(f"annotated/{theirs}/labels.txt", "sports\n")
    found = imported(last.parents[1])
    assert {place: list(read_topics(found.out / place)) for place in found.files()} == rows


def test_entities_in_conll_s_columns_and_other_schemes(real_data, write, imported):
    path = real_data / "ner/fr/test.iob2"
    sentences = [s for s, _ in zip(read_gold(path), range(500), strict=False)]
    expected = [(s.tokens, s.tags) for s in sentences]

    def bioes(tags):
        found = []
        for tag, after in zip(tags, [*tags[1:], "O"], strict=True):
            goes_on = after == f"I-{tag[2:]}"
            first = tag[0] == "B"
            mark = {(1, 1): "B", (1, 0): "S", (0, 1): "I", (0, 0): "E"}[first, goes_on]
            found.append("O" if tag == "O" else f"{mark}-{tag[2:]}")
        return found

    forms = {
        "conll.test.txt": "-DOCSTART- -X- O O\n\n"
        + "\n".join(
            "".join(f"{a} NNP B-NP {b}\n" for a, b in zip(s.tokens, s.tags, strict=True))
            for s in sentences
        ),
        "bioes.test.txt": "\n".join(
            "".join(f"{a}\t{b}\n" for a, b in zip(s.tokens, bioes(s.tags), strict=True))
            for s in sentences
        ),
        "fr/test": "\n".join(
            "".join(f"fr:{a}\t{b}\n" for a, b in zip(s.tokens, s.tags, strict=True))
            for s in sentences
        ),
        "rows.test.jsonl": "".join(
            json.dumps({"tokens": s.tokens, "ner_tags": s.tags, "lang": "fra"}) + "\n"
            for s in sentences
        ),
    }
    for number, (name, text) in enumerate(forms.items()):
        source = write(name, text)
        source = source.parent if name == "fr/test" else source
        found = imported(source, languages="fr", out=f"data{number}")
        again = read_gold(found.out / "ner/fr/test.iob2")
        assert [(s.tokens, s.tags) for s in again] == expected, name
        if "bioes" in name:
            assert "the file is in BIOES, expected IOB2; converted to IOB2" in found.said


def test_treebanks_as_released(real_data, write, imported):
    trees = {}
    for split, name in (("test", "test.conllu"), ("dev", "dev.conllu.gz")):
        path = real_data / "ud/fr" / name
        trees[split] = list(read_conllu(path))
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if name.endswith(".gz") else raw
        last = write(f"UD_French-GSD/fr_gsd-ud-{split}.conllu", raw)
        write(f"UD_French-GSD/fr_gsd-ud-{split}.txt", "raw text\n")
    about = (
        "# Summary\n=== Machine-readable metadata ===\nLicense: CC BY-SA 4.0\nIncludes text: yes\n"
    )
    write("UD_French-GSD/README.md", about)
    write("UD_French-GSD/LICENSE.txt", "terms\n")
    write("UD_French-GSD/stats.xml", "<treebank/>")
    found = imported(last.parent)
    assert found.files() == {"ud/fr/test.conllu", "ud/fr/dev.conllu"}
    for split, expected in trees.items():
        again = list(read_conllu(found.out / f"ud/fr/{split}.conllu"))
        assert [(t.text, t.forms, t.upos, t.heads, t.relations) for t in again] == [
            (t.text, t.forms, t.upos, t.heads, t.relations) for t in expected
        ]
    assert "CC BY-SA 4.0" in (found.out / "data.yaml").read_text()
