"""What data.yaml says of parts: read as people write it, written so that nothing is lost."""

import hashlib

import pytest
import yaml

from xling.data.layout import DataFolder
from xling.data.provenance import Provenance, Record, SourceFile, Step
from xling.errors import XlingError


def test_the_closest_record_counts(write, tmp_path):
    write(
        "data.yaml",
        "languages: [en, fr]\n"
        "parts:\n"
        "  text/wiki: {source: a, licence: CC0-1.0}\n"
        "  text/wiki/fr: {source: b}\n"
        "  nli: {source: c}\n"
        "  dictionaries/en-fr: {source: d}\n",
    )
    known = Provenance.read(tmp_path)
    found = [known.of(place).source for place in ("text/wiki/fr", "text/wiki/en", "text/web/fr")]
    assert found == ["b", "a", ""]
    assert known.of("nli/fr/test").source == "c"
    assert known.of("dictionaries/en-fr.train").source == "d"
    assert known.of("dictionaries/en-de.train").source == ""


def test_what_a_person_wrote_is_read_and_kept(write, tmp_path):
    write("data.yaml", "languages: [en]\ntext: {source: my crawl, revision: 2024-05-01, who: me}\n")
    known = Provenance.read(tmp_path)
    assert known.of("text/wiki/en").revision == "2024-05-01"
    known.having({"nli/en/test": Record(source="x")}, ["en", "sw"]).write(tmp_path)
    again = Provenance.read(tmp_path)
    assert again.languages == ("en", "sw")
    assert again.of("text/wiki/en").model_extra == {"who": "me"}
    assert again.of("nli/en/test").source == "x"


def test_steps_are_written_in_order_with_versions(tmp_path):
    step = Step.of("import", settings={"format": "plain text"}, counts={"kept": 3, "empty": 1})
    record = Record(source="a.txt").after(step).after(Step.of("tokenise", "tokenizers"))
    (tmp_path / "text" / "wiki").mkdir(parents=True)
    (tmp_path / "text" / "wiki" / "fr.txt").write_text("un\n")
    Provenance().having({"text/wiki/fr": record}, ["fr"]).write(tmp_path)
    written = yaml.safe_load((tmp_path / "data.yaml").read_text())
    one, two = written["parts"]["text/wiki/fr"]["steps"]
    assert one["counts"] == {"kept": 3, "empty": 1}
    assert two["version"].count(".") >= 1
    assert Provenance.read(tmp_path).records == {"text/wiki/fr": record}
    assert DataFolder(tmp_path).languages == ("fr",)


def test_files_are_described_by_size_and_hash(write):
    path = write("a.txt.gz", "hello\n" * 1000)
    found = SourceFile.read(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.name, found.bytes) == ("a.txt.gz", path.stat().st_size)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- en\n", "data.yaml: found no keys"),
        ("parts: [a]\n", "parts: found"),
        ("parts: {text: wiki}\n", "parts: text: found 'wiki'"),
        ("parts: {text: {steps: [{step: a, libary: b}]}}\n", "libary: unknown setting"),
    ],
)
def test_faults_name_the_file(write, tmp_path, text, message):
    path = write("data.yaml", text)
    with pytest.raises(XlingError, match=message) as raised:
        Provenance.read(tmp_path)
    assert str(raised.value).startswith(str(path))
