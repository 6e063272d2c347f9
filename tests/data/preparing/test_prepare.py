"""The verb as a whole: each step against its library, and the same bytes however it is run."""

import json
import re
import unicodedata
from pathlib import Path

import pytest
import yaml

from xling.data.layout import DataFolder
from xling.data.preparing import prepare as module
from xling.data.preparing.cleaning import NEAR, Cleaner, CleanShard, RawShard
from xling.data.preparing.prepare import prepare
from xling.data.preparing.settings import NOTHING, PrepareSettings
from xling.data.provenance import Provenance
from xling.errors import XlingError
from xling.files import content_hash


def run(data: Path, out: Path, workers: int = 1, languages=None, **steps) -> Path:
    settings = PrepareSettings.model_validate({**NOTHING.model_dump(), **steps})
    prepare([DataFolder(data)], settings, out, workers, languages)
    return out


def read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def counts(out: Path, place: str) -> dict:
    return {step.step: step.counts for step in Provenance.read(out).of(place).steps}


def contents(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): content_hash(path)
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


LINES = {
    "en": [
        "He met Mr. Smith (at 5,300 m). It's “fine”, isn't it?",
        "A second\u00a0line; with more…",
    ],
    "fr": ["L'homme qu'il a vu… Aujourd'hui, c'est « bien ».", "Voila\u0300 la ville."],
    "zh": ["我来到北京清华大学，Hello 世界。他说：“好。”", "这是一个测试。"],
    "ja": ["東京都に住んでいます。これはテストです。", "水を飲む。"],
    "th": ["ฉันชอบกินข้าวผัด วันนี้อากาศดี", "สวัสดีครับ"],
}


@pytest.fixture
def small(folder) -> Path:
    return folder({f"text/wiki/{language}.txt": lines for language, lines in LINES.items()})


def nfc(language: str) -> list[str]:
    return [unicodedata.normalize("NFC", line) for line in LINES[language]]


@pytest.mark.parametrize("language", LINES)
def test_sentences_are_those_of_sentencex(language, small, tmp_path):
    import sentencex

    out = run(small, tmp_path / "out", languages=(language,), sentences=True)
    expected = [s.strip() for line in nfc(language) for s in sentencex.segment(language, line)]
    assert read(out / f"text/wiki/{language}.txt") == [s for s in expected if s]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_moses_is_sacremoses_as_the_scripts_of_xlm_call_it(language, small, tmp_path):
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    out = run(small, tmp_path / "out", languages=(language,), moses=True)
    normal = MosesPunctNormalizer(
        language, pre_replace_unicode_punct=True, post_remove_control_chars=True
    )
    cut = MosesTokenizer(language)
    expected = [
        " ".join(cut.tokenize(normal.normalize(line), escape=False)) for line in nfc(language)
    ]
    assert read(out / f"text/wiki/{language}.txt") == expected


def test_words_are_those_of_each_segmenter(small, tmp_path):
    import fugashi
    import rjieba
    from pythainlp.tokenize import word_tokenize

    out = run(small, tmp_path / "out", segment=True)
    tagger = fugashi.Tagger()
    cut = {
        "zh": rjieba.cut,
        "ja": lambda line: [word.surface for word in tagger(line)],
        "th": word_tokenize,
    }
    for language, words in cut.items():
        found = read(out / f"text/wiki/{language}.txt")
        assert found == [" ".join(" ".join(words(line)).split()) for line in nfc(language)]
        for line, raw in zip(found, nfc(language), strict=True):
            assert "".join(line.split()) == "".join(raw.split())
            assert line.count(" ") > raw.count(" ")
    assert read(out / "text/wiki/en.txt") == nfc("en")


def test_lower_case_and_nothing_at_all(small, tmp_path):
    lower = run(small, tmp_path / "lower", lower=True)
    assert read(lower / "text/wiki/fr.txt") == [line.lower() for line in nfc("fr")]
    same = run(small, tmp_path / "same")
    assert (same / "text/wiki/fr.txt").is_symlink()
    assert content_hash(same / "text/wiki/fr.txt") == content_hash(small / "text/wiki/fr.txt")


def test_lines_in_another_language_go_and_unsure_ones_stay(folder, tmp_path):
    own = ["The committee will meet again next week to discuss the new law.", "OK 42"]
    other = ["Le comité se réunira la semaine prochaine pour discuter de la nouvelle loi."]
    data = folder({"text/wiki/eng_Latn.txt": [*own, *other]})
    out = run(data, tmp_path / "out", identify=True)
    assert read(out / "text/wiki/eng_Latn.txt") == own
    found = counts(out, "text/wiki/eng_Latn")["identify"]
    assert (found["foreign"], found["kept"], found["unsure"]) == (1, 2, 1)


def test_filters_say_why_a_line_goes(folder, made, tmp_path):
    good = made("en", 3, words=25)
    bad = {
        "short": "Hm.",
        "long": "long " * 300,
        "script": "Это русское предложение в английском тексте.",
        "words": " ".join(f"{number}" for number in range(30)),
        "repetition": "buy this now " * 10,
    }
    data = folder({"text/web/en.txt": [*good, *bad.values()]})
    out = run(data, tmp_path / "out", filters={"shortest": 5, "longest": 1000})
    assert read(out / "text/web/en.txt") == good
    found = counts(out, "text/web/en")["filters"]
    assert found == {**dict.fromkeys(bad, 1), "kept": 3}


def test_evaluation_sentences_go_from_text_of_every_language(folder, made, tmp_path):
    english, tests = made("en", 30), made("en", 5, seed=9)
    planted = [
        tests[0].upper(),
        f"So: {tests[1].replace(' ', '  ')} Yes.",
        tests[2].replace(" ", ""),
    ]
    data = folder(
        {
            "text/wiki/en.txt": [*english[:10], planted[0], *english[10:], planted[1]],
            "text/wiki/fr.txt": [*made("fr", 10), planted[2]],
            "parallel/talks/en.txt": tests,
            "parallel/talks/fr.txt": made("fr", 5, seed=9),
        }
    )
    out = run(data, tmp_path / "out", decontaminate=True)
    assert read(out / "text/wiki/en.txt") == english
    assert read(out / "text/wiki/fr.txt") == made("fr", 10)
    assert read(out / "parallel/talks/en.txt") == tests
    assert counts(out, "text/wiki/en")["decontaminate"] == {"evaluation": 2, "kept": 30}


def test_repeats_go_from_later_domains_too(folder, made, tmp_path):
    lines = made("en", 20, words=40)
    near = lines[3].replace(lines[3].split()[20], "changed", 1)
    data = folder(
        {
            "text/a/en.txt": [*lines[:10], lines[0]],
            "text/b/en.txt": [lines[1], *lines[10:], near],
            "text/b/fr.txt": lines[:2],
        }
    )
    out = run(data, tmp_path / "out", duplicates=True)
    assert read(out / "text/a/en.txt") == lines[:10]
    assert read(out / "text/b/en.txt") == lines[10:]
    assert read(out / "text/b/fr.txt") == lines[:2]
    assert counts(out, "text/b/en")["duplicates"] == {"exact": 1, "kept": 10, "near": 1}
    exact = run(data, tmp_path / "exact", duplicates={"near": False})
    assert read(exact / "text/b/en.txt") == [*lines[10:], near]


def test_translated_text_becomes_disjoint_in_turns(folder, tmp_path):
    numbered = [f"line {number}" if number != 4 else "" for number in range(10)]
    places = {f"text/help/{code}.txt": numbered for code in ("de", "en", "fr")}
    data = folder({**places, "text/wiki/en.txt": numbered})
    steps = {"domains": ["help"], "languages": ["en", "fr"], "block": 3}
    out = run(data, tmp_path / "out", disjoint=steps)
    whole = [line for line in numbered if line]
    assert read(out / "text/help/en.txt") == [*numbered[0:3], *numbered[6:9]]
    assert read(out / "text/help/fr.txt") == [numbered[3], numbered[5], numbered[9]]
    assert read(out / "text/help/de.txt") == read(out / "text/wiki/en.txt") == whole


@pytest.mark.parametrize(
    ("across", "kept"),
    [
        ("languages", {"a/en": 4, "a/fr": 4, "b/en": 2, "b/fr": 2}),
        ("domains", {"a/en": 3, "a/fr": 2, "b/en": 3, "b/fr": 2}),
        ("both", dict.fromkeys(("a/en", "a/fr", "b/en", "b/fr"), 2)),
    ],
)
def test_sizes_become_equal(across, kept, folder, tmp_path):
    sizes = {"a/en": 9, "a/fr": 4, "b/en": 3, "b/fr": 2}
    data = folder(
        {f"text/{place}.txt": [f"l {i}" for i in range(size)] for place, size in sizes.items()}
    )
    out = run(data, tmp_path / "out", equal={"across": across})
    assert {place: len(read(out / f"text/{place}.txt")) for place in sizes} == kept


def test_characters_become_equal_up_to_a_line(folder, tmp_path):
    data = folder({"text/a/en.txt": ["abc"] * 5, "text/a/fr.txt": ["éé", "é"]})
    out = run(data, tmp_path / "out", equal={"across": "languages", "unit": "characters"})
    assert read(out / "text/a/en.txt") == ["abc"]
    assert read(out / "text/a/fr.txt") == ["éé", "é"]


EVALUATION = {
    "text/wiki/en.txt": ["Some text, here."],
    "text/wiki/zh.txt": ["这是一个测试。"],
    "parallel/p/en.txt": ["He's here, (now)."],
    "parallel/p/zh.txt": ["我来到北京清华大学，世界。"],
    "parallel/q/en.txt": ["Don't stop, now"],
    "parallel/q/zh.txt": ["不要停下来。"],
    "parallel/q/zh.words": ["不要 停下来 。"],
    "parallel/q/en-zh.align": ["0-0 2-1"],
    "dictionaries/en-zh.train.tsv": ["Cat\t猫", "Dog\t小狗\t0.5"],
    "nli/en/test.tsv": ["A man, asleep.\tHe's up.\tcontradiction"],
    "ner/en/test.iob2": ["“\tO", "U.S.\tB-LOC", ""],
    "ud/en/test.conllu": ["# text = “Go.”", "1\tGo.\t_\tVERB\t_\t_\t0\troot\t_\t_", ""],
    "topics/en/test.tsv": ["7\thealth\tEat, drink."],
}


def test_evaluation_parts_get_the_words_of_the_text(folder, tmp_path):
    data = folder(EVALUATION)
    out = run(data, tmp_path / "out", moses=True, segment=True, lower=True)
    written = {place: read(out / place) for place in EVALUATION}
    assert written == {
        "text/wiki/en.txt": ["some text , here ."],
        "text/wiki/zh.txt": ["这是 一个 测试 ."],
        "parallel/p/en.txt": ["he 's here , ( now ) ."],
        "parallel/p/zh.txt": ["我 来到 北京 清华大学 , 世界 ."],
        "parallel/q/en.txt": ["don't stop, now"],
        "parallel/q/zh.txt": ["不要停下来."],
        "parallel/q/zh.words": ["不要 停下来 ."],
        "parallel/q/en-zh.align": ["0-0 2-1"],
        "dictionaries/en-zh.train.tsv": ["cat\t猫", "dog\t小狗\t0.5"],
        "nli/en/test.tsv": ["a man , asleep .\the 's up .\tcontradiction"],
        "ner/en/test.iob2": ['"\tO', "u.s.\tB-LOC", ""],
        "ud/en/test.conllu": ['# text = " go . "', "1\tgo.\t_\tVERB\t_\t_\t0\troot\t_\t_", ""],
        "topics/en/test.tsv": ["7\thealth\teat , drink ."],
    }
    checked = DataFolder(out)
    assert checked.parallel_words("q", "zh") == [["不要", "停下来", "."]]
    assert [step.step for step in Provenance.read(out).of("parallel/p/zh").steps] == [
        *("moses", "segment", "lower")
    ]


def test_the_page_says_which_steps_there_are_and_in_what_order():
    page = (Path(__file__).resolve().parents[3] / "docs/data.md").read_text("utf-8")
    (example,) = re.findall(r"^```yaml\n(disjoint.*?)^```$", page, re.MULTILINE | re.DOTALL)
    content = yaml.safe_load(example)
    assert [*PrepareSettings.model_validate(content).model_dump()] == [*content]
    table = page[page.index("| step | what it does") :].split("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*content]


ALL = {
    **{"sentences": True, "identify": True, "filters": True, "decontaminate": True},
    **{"duplicates": True, "moses": True, "lower": True, "equal": {"across": "domains"}},
}


@pytest.fixture
def large(folder, made, monkeypatch) -> Path:
    """Text of many small shards."""
    monkeypatch.setattr("xling.data.lines._BLOCK_BYTES", 2000)
    monkeypatch.setattr(module, "_SHARD_BLOCKS", 2)
    lines = made("en", 300)
    return folder(
        {
            "text/a/en.txt": [*lines[:200], *lines[50:90]],
            "text/b/en.txt": [*lines[150:], *made("fr", 20)],
            "text/b/fr.txt": made("fr", 120),
            "parallel/p/en.txt": lines[100:110],
            "parallel/p/fr.txt": made("fr", 10, seed=2),
        }
    )


@pytest.mark.slow
def test_two_workers_write_the_same_bytes(large, tmp_path):
    one, two = (contents(run(large, tmp_path / f"out-{n}", n, **ALL)) for n in (1, 2))
    assert {key: one[key] for key in one if key != "artefact.json"} == {
        key: two[key] for key in two if key != "artefact.json"
    }
    assert len(one) == 7


def test_a_killed_preparation_keeps_its_shards_and_ends_the_same(large, tmp_path, monkeypatch):
    whole = contents(run(large, tmp_path / "whole", **ALL))
    save, saved = CleanShard.save, []

    def dying(shard: CleanShard, path: Path) -> None:
        if len(saved) == 5:
            raise KeyboardInterrupt
        saved.append(path)
        save(shard, path)

    monkeypatch.setattr(CleanShard, "save", dying)
    with pytest.raises(KeyboardInterrupt):
        run(large, tmp_path / "out", **ALL)
    assert not (tmp_path / "out").exists()
    assert len(saved) == 5
    assert all(path.exists() for path in saved)
    # One of the finished shards is damaged, and made again.
    damaged = saved[2].read_bytes()
    saved[2].write_bytes(damaged[:200] + b"\0" + damaged[201:])
    made_now = []
    monkeypatch.setattr(
        CleanShard, "save", lambda shard, path: (made_now.append(path), save(shard, path))
    )
    again = contents(run(large, tmp_path / "out", **ALL))
    assert {key: again[key] for key in again if key != "artefact.json"} == {
        key: whole[key] for key in whole if key != "artefact.json"
    }
    assert saved[2] in made_now
    assert not {*saved} - {saved[2]} & {*made_now}
    assert not list(tmp_path.glob(".out.prepare-*"))


@pytest.mark.parametrize("block", ["", "one line\n\nand another\none line"])
def test_a_shard_is_read_as_it_was_written(block, tmp_path):
    place = tmp_path / "shard.npz"
    settings = PrepareSettings(decontaminate=False)
    shard = Cleaner(settings, tmp_path).clean(RawShard(0, "en", [block], 0, 0, place))
    shard.save(place)
    read_again = CleanShard.load(place)
    assert (read_again.text, read_again.counts) == (shard.text, shard.counts)
    assert read_again.lines() == [line for line in block.split("\n") if line]
    for column, band in enumerate(NEAR):
        assert CleanShard.load_keys(place, band).tolist() == shard.near[:, column].tolist()
        assert read_again.near[:, column].tolist() == shard.near[:, column].tolist()
    assert CleanShard.load_keys(place, "exact").tolist() == shard.exact.tolist()
    place.write_bytes(place.read_bytes()[:-30])
    assert CleanShard.load(place) is None
    assert CleanShard.load_keys(place, NEAR[0]) is None


def test_shards_of_other_settings_are_not_taken(large, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_list", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(large, tmp_path / "out", lower=True)
    monkeypatch.undo()
    (left,) = tmp_path.glob(".out.prepare-*")
    run(large, tmp_path / "out", moses=True)
    assert not left.exists()
    assert read(tmp_path / "out/text/a/en.txt")[0][0].isupper()


def test_languages_apart_and_put_together_are_the_whole(large, tmp_path):
    steps = {key: value for key, value in ALL.items() if key != "equal"}
    whole = run(large, tmp_path / "whole", **steps)
    parts = [run(large, tmp_path / code, languages=(code,), **steps) for code in ("en", "fr")]
    out = tmp_path / "together"
    prepare([DataFolder(part) for part in parts], NOTHING, out, 1)
    names = [name for name in contents(whole) if name not in ("artefact.json", "data.yaml")]
    assert [content_hash(out / name) for name in names] == [
        content_hash(whole / name) for name in names
    ]
    assert DataFolder(out).languages == DataFolder(whole).languages
    for place in ("text/a/en", "text/b/fr", "parallel/p/fr"):
        assert Provenance.read(out).of(place) == Provenance.read(whole).of(place)


def test_a_finished_folder_is_left_alone(large, tmp_path):
    out = run(large, tmp_path / "out", lower=True)
    before = (out / "artefact.json").stat().st_mtime_ns
    run(large, out, lower=True)
    assert (out / "artefact.json").stat().st_mtime_ns == before


def test_what_the_source_said_of_its_parts_stays(folder, tmp_path):
    listed = {
        "languages": ["en"],
        "parts": {"text": {"source": "my crawl", "licence": "CC0-1.0"}},
    }
    data = folder({"text/wiki/en.txt": ["One line."]})
    (data / "data.yaml").write_text(yaml.safe_dump(listed))
    found = Provenance.read(run(data, tmp_path / "out", lower=True)).of("text/wiki/en")
    assert (found.source, found.licence) == ("my crawl", "CC0-1.0")
    assert [step.step for step in found.steps] == ["nfc", "lower"]
    assert found.steps[0].version == unicodedata.unidata_version


def test_faults_are_named(folder, tmp_path):
    data = folder({"text/wiki/en.txt": ["short", "too"]})
    with pytest.raises(XlingError, match=r"wiki/en\.txt: no line is left \(.*2 filters\.short"):
        run(data, tmp_path / "out", filters={"shortest": 50})
    assert not (tmp_path / "out").exists()
    (data / "text/wiki/en.txt").write_text("")
    with pytest.raises(XlingError, match=r"wiki/en\.txt: no line is left \(there was none\)"):
        run(data, tmp_path / "out", lower=True)
    with pytest.raises(XlingError, match="no language xx; its languages are en"):
        run(data, tmp_path / "out", languages=("xx",), lower=True)
    other = folder({"text/wiki/en.txt": ["another"]}, "other")
    with pytest.raises(XlingError, match="expected it in one folder"):
        prepare([DataFolder(data), DataFolder(other)], NOTHING, tmp_path / "out", 1)


def test_a_missing_segmenter_is_named(small, tmp_path, monkeypatch):
    monkeypatch.setattr("xling.errors.has_extra", lambda extra: extra != "th")
    with pytest.raises(XlingError, match=r"segment: th\) needs the extra th: pip install"):
        run(small, tmp_path / "out", segment=True)
    assert not (tmp_path / "out").exists()


def test_what_is_counted_can_be_written_as_json(large, tmp_path):
    out = run(large, tmp_path / "out", **ALL)
    steps = Provenance.read(out).of("text/b/en").steps
    assert [step.step for step in steps] == [
        *("nfc", "sentences", "identify", "filters", "decontaminate", "duplicates", "moses"),
        *("lower", "equal"),
    ]
    assert json.loads(json.dumps([step.model_dump() for step in steps]))
    kept = [step.counts["kept"] for step in steps[1:] if "kept" in step.counts]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > kept[-1]
    assert len(read(out / "text/b/en.txt")) == steps[-1].counts["kept"]
