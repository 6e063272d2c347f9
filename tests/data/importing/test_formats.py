"""Small files as the public data sets have them, column for column."""

import json
import warnings

import pytest
import yaml

from xling.data.layout import DataFolder
from xling.errors import XlingError


def test_conll_2003_in_iob1(write, imported):
    path = write(
        "eng.testb",
        "-DOCSTART- -X- -X- O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\nGerman JJ I-NP I-MISC\n"
        "call NN I-NP O\n\nPeter NNP I-NP I-PER\nBlackburn NNP I-NP I-PER\n\n",
    )
    found = imported(path, languages="en")
    assert list(DataFolder(found.out).ner("en", "test")) == [
        (["EU", "rejects", "German", "call"], ["B-ORG", "O", "B-MISC", "O"]),
        (["Peter", "Blackburn"], ["B-PER", "I-PER"]),
    ]
    assert f"{path}, line 3: found tag I-ORG after the sentence's start: the file is in IOB1" in (
        found.said
    )


def test_germeval(write, imported):
    text = (
        "#\thttp://de.wikipedia.org/wiki/Manfred_Korfmann [2009-10-17]\n"
        "1\tAufgrund\tO\tO\n2\t2008\tO\tO\n3\tTroia\tB-LOC\tB-PER\n\n"
        "#\tsource\n1\tKöln\tB-LOC\tO\n"
    )
    found = imported(write("GermEval.de.dev.tsv", text))
    assert list(DataFolder(found.out).ner("de", "dev")) == [
        (["Aufgrund", "2008", "Troia"], ["O", "O", "B-LOC"]),
        (["Köln"], ["B-LOC"]),
    ]


def test_wikiann_s_folders(write, imported):
    for code, word in (("fr", "Paris"), ("ceb", "Manila")):
        for split in ("train", "dev", "test"):
            text = f"{code}:in\tO\n{code}:{word}{split}\tB-LOC\n\n"
            last = write(f"panx/{code}/{split}", text)
    found = imported(last.parents[1])
    assert list(DataFolder(found.out).ner("ceb", "dev")) == [(["in", "Maniladev"], ["O", "B-LOC"])]
    assert len(found.files()) == 6


def test_xnli_s_translated_training_set(write, imported):
    text = (
        "premise\thypo\tlabel\n"
        'Il a dit " non " .\tNon\tentailment\n'
        "Il pleut .\tIl fait beau .\tcontradictory\n"
    )
    found = imported(write("XNLI-MT-1.0/multinli/multinli.train.fr.tsv", text))
    assert found.lines("nli/fr/train.tsv") == [
        'Il a dit " non " .\tNon\tentailment',
        "Il pleut .\tIl fait beau .\tcontradiction",
    ]


def test_pairs_without_a_label_are_left_out_and_counted(write, imported):
    text = "gold_label\tsentence1\tsentence2\n-\tA\tB\nneutral\tC\tD\n"
    found = imported(write("snli.dev.txt", text), languages="en")
    assert found.lines("nli/en/dev.tsv") == ["C\tD\tneutral"]
    assert "snli.dev.txt, line 2: left out: label '-'" in found.said


def test_xnli_in_fifteen_columns(write, imported):
    found = imported(write("xnli.15way.orig.tsv", "ar\ten\tzh\nنعم\tyes\t是\nلا\tno\t不\n"))
    assert found.lines("parallel/xnli-15way-orig/zh.txt") == ["是", "不"]
    assert len(found.files()) == 3


def test_tatoeba_s_sentences(write, imported):
    found = imported(write("sentences.csv", "1\tcmn\t我們試試看！\n2\tfra\tOui.\n3\teng\tYes.\n"))
    assert found.lines("text/sentences/fr.txt") == ["Oui."]
    assert found.files() == {f"text/sentences/{code}.txt" for code in ("zh", "fr", "en")}


def test_lines_of_many_languages(write, imported):
    rows = [
        {"text": "un\ndeux", "lang": "fr"},
        {"text": "one", "lang": "en"},
        {"text": "x", "lang": "none"},
        {"text": "", "lang": "en"},
        {"text": "trois", "lang": "fra_Latn", "extra": 1},
    ]
    path = write("crawl.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    found = imported(path)
    assert found.lines("text/crawl/fr.txt") == ["un", "deux", "trois"]
    assert f"{path}, line 3: left out: no language code: 'none'" in found.said
    assert f"{path}, line 4: left out: empty" in found.said
    only = imported(path, languages="en", out="only")
    assert only.files() == {"text/crawl/en.txt"}


TMX = """<?xml version="1.0" encoding="UTF-8" ?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4">
<header creationtool="Uplug" datatype="PlainText" srclang="en" segtype="sentence"/>
<body>
<tu><tuv xml:lang="en-GB"><seg>Press <bpt i="1">&lt;b&gt;</bpt>Save<ept i="1">&lt;/b&gt;</ept>
now &amp; then</seg></tuv><tuv xml:lang="fr-FR"><seg>Appuyez <hi>ici</hi></seg></tuv></tu>
<tu><tuv lang="EN"><seg>only English</seg></tuv></tu>
<tu><tuv xml:lang="en"><seg>two</seg></tuv><tuv xml:lang="fr"><seg>deux</seg></tuv>
<tuv xml:lang="de"><seg>zwei</seg></tuv></tu>
</body></tmx>
"""


def test_tmx(write, imported):
    path = write("memory.tmx", TMX)
    found = imported(path)
    # One language has one name, whatever region the file names.
    assert found.lines("parallel/memory/en.txt") == ["Press Save now & then", "two"]
    assert found.lines("parallel/memory/fr.txt") == ["Appuyez ici", "deux"]
    assert f"{path}, line 8: left out: not in fr" in found.said
    third = imported(path, languages="en,de", out="third")
    assert third.lines("parallel/memory/de.txt") == ["zwei"]


def test_wiktextract(write, imported):
    rows = [
        {
            **{"word": "cat", "lang": "English", "lang_code": "en", "pos": "noun"},
            "translations": [
                {"lang": "French", "code": "fr", "word": "chat"},
                {"lang": "German", "code": "de", "word": "Katze"},
                {"lang": "French", "code": "fr", "note": "no word"},
            ],
        },
        {"word": "chat", "lang_code": "fr", "translations": []},
        {"word": "dog", "lang_code": "en"},
    ]
    path = write("kaikki.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert imported(path, languages="en,fr").lines("dictionaries/en-fr.train.tsv") == ["cat\tchat"]
    with pytest.raises(XlingError, match="which two are wanted"):
        imported(path, out="other")


def test_wikdict(write, imported):
    text = "written_rep\tpos\ttrans_list\ncat\tnoun\tchat | matou\n"
    found = imported(write("en-fr.tsv", text))
    assert found.lines("dictionaries/en-fr.train.tsv") == ["cat\tchat", "cat\tmatou"]


def test_panlex_words_are_joined_by_meaning(write, imported):
    head = "id\tlangvar\ttxt\ttxt_degr\tmeaning\tlangvar_uid\n"
    english = write(
        "data/eng.tsv", f"{head}1\t187\tcat\tcat\t7\teng-000\n2\t187\tdog\tdog\t8\teng-000\n"
    )
    french = write(
        "data/fra.tsv",
        f"{head}3\t211\tchat\tchat\t7\tfra-000\n4\t211\tmatou\tmatou\t7\tfra-000\n"
        "5\t211\tloup\tloup\t9\tfra-000\n",
    )
    found = imported(english, french)
    assert found.lines("dictionaries/en-fr.train.tsv") == ["cat\tchat", "cat\tmatou"]
    with pytest.raises(XlingError, match="give the table of the other"):
        imported(english, out="alone")


def test_fasttext_vectors(write, imported):
    path = write("cc.fr.3.vec", "4 3\nde 0.1 -0.2 1e-3\nde 1 2 3\n. 1 2 nan\nla 0 0 1 \n")
    found = imported(path)
    assert found.lines("vectors/fr.vec") == ["2 3", "de 0.1 -0.2 1e-3", "la 0 0 1"]
    assert f"{path}, line 3: left out: a word a second time" in found.said
    assert f"{path}, line 4: left out: not a word and 3 numbers" in found.said
    assert f"{path}, line 1: announces '4' words, found 2" in found.said
    from xling.alignment.vector_files import read_vectors

    assert read_vectors(found.out / "vectors/fr.vec")[0] == ["de", "la"]
    assert "vectors/fr.vec: 2 lines; left out 2" in found.said


def test_classes_of_hugging_face_s_parquet_have_names(tmp_path, imported):
    import datasets

    features = datasets.Features(
        premise=datasets.Value("string"),
        hypothesis=datasets.Value("string"),
        label=datasets.ClassLabel(names=["entailment", "neutral", "contradiction"]),
    )
    rows = {"premise": ["a", "b"], "hypothesis": ["c", "d"], "label": [2, -1]}
    folder = tmp_path / "xnli" / "fr"
    folder.mkdir(parents=True)
    shard = folder / "validation-00000-of-00001.parquet"
    datasets.Dataset.from_dict(rows, features=features).to_parquet(shard)
    found = imported(tmp_path / "xnli")
    assert found.lines("nli/fr/dev.tsv") == ["a\tc\tcontradiction"]


def test_two_shards_are_one_split(write, imported):
    for n in range(2):
        last = write(f"en/train-0000{n}-of-00002.jsonl", json.dumps({"text": f"line {n}"}) + "\n")
    found = imported(last.parent, part="text/c4")
    assert found.lines("text/c4/en.txt") == ["line 0", "line 1"]


def test_csv_with_line_ends_and_quotes_in_cells(write, imported):
    path = write("crawl.en.csv", 'id,text\n1,"a ""b"", c\nd"\n2,e\n')
    assert imported(path).lines("text/crawl/en.txt") == ['a "b", c', "d", "e"]


def test_what_is_recorded(write, imported):
    found = imported(
        write("a.fr.txt.gz", "un\n\ndeux\n"),
        write("b.fr.txt", "trois\n"),
        part="text/web",
        licence="CC0-1.0",
    )
    assert found.lines("text/web/fr.txt") == ["un", "deux", "trois"]
    record = yaml.safe_load((found.out / "data.yaml").read_text())["parts"]["text/web/fr"]
    assert record["licence"] == "CC0-1.0"
    assert [file["name"] for file in record["files"]] == ["a.fr.txt.gz", "b.fr.txt"]
    (step,) = record["steps"]
    assert step["counts"] == {"kept": 3, "left out: empty": 1}
    assert step["settings"]["format"] == ["plain text, packed with gzip", "plain text"]


def test_a_second_import_adds_to_the_folder_and_keeps_its_names(write, imported):
    write("data/text/wiki/eng_Latn.txt", "hello\n")
    write("data/data.yaml", "languages: [eng_Latn]\ntext: {source: mine}\nnote: kept\n")
    found = imported(write("more.en.txt", "a\n"), write("more.fr.txt", "b\n"), part="text/web")
    assert found.files() == {
        *("text/wiki/eng_Latn.txt", "text/web/eng_Latn.txt", "text/web/fr.txt"),
    }
    listed = yaml.safe_load((found.out / "data.yaml").read_text())
    assert listed["languages"] == ["eng_Latn", "fr"]
    assert listed["parts"]["text"]["source"] == "mine"
    assert listed["note"] == "kept"


def test_many_files_are_read_one_after_the_other(write, imported):
    for number in range(1200):
        doc = f'<doc id="{number}" url="u" title="T">\nT\n\nline {number}\n\n</doc>\n'
        last = write(f"frwiki/A{number // 100}/wiki_{number % 100:02}", doc)
    found = imported(last.parents[1])
    assert sorted(found.lines("text/wiki/fr.txt")) == sorted(f"line {n}" for n in range(1200))


def test_no_warning_escapes(write, imported):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        imported(write("x.test.iob", "a\tI-PER\n\n"), languages="en")


def test_zstd_and_parquet_need_the_extra(write, imported, monkeypatch):
    monkeypatch.setattr("xling.errors.find_spec", lambda name: None)
    with pytest.raises(XlingError, match=r"pip install 'xling\[import\]'"):
        imported(write("a.fr.txt", "un\n"))
