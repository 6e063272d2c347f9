"""Outputs that replace only their own kind."""

import json
from pathlib import Path

import pytest

from xling.artefact import RECORD, building, describe, is_current
from xling.errors import XlingError


def write(folder: Path, stage: str, content: str) -> None:
    with building(folder, describe(stage, {"content": content}, {})) as temporary:
        (temporary / "file").write_text(content)


def test_a_stage_replaces_its_own_output_and_fills_an_empty_folder(tmp_path):
    (tmp_path / "out").mkdir()
    for content in ("one", "two"):
        write(tmp_path / "out", "tokens", content)
        assert (tmp_path / "out" / "file").read_text() == content
        assert is_current(tmp_path / "out", describe("tokens", {"content": content}, {}))


def test_output_of_another_stage_and_foreign_files_are_kept(tmp_path):
    write(tmp_path / "out", "tokens", "one")
    with pytest.raises(XlingError, match="output of the stage 'tokens', not of 'vocabulary'"):
        write(tmp_path / "out", "vocabulary", "two")
    assert (tmp_path / "out" / "file").read_text() == "one"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(XlingError, match=r"did not write \(thesis.tex\)"):
        write(tmp_path / "mine", "tokens", "two")
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"
    with pytest.raises(XlingError, match="is a file"):
        write(tmp_path / "mine" / "thesis.tex", "tokens", "two")


def test_a_failed_stage_leaves_what_was_there(tmp_path):
    write(tmp_path / "out", "tokens", "one")
    with pytest.raises(RuntimeError), building(tmp_path / "out", {"stage": "tokens"}):
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out" / "file").read_text() == "one"


def test_a_description_changes_with_stage_settings_and_content_only(tmp_path):
    (tmp_path / "a").write_text("text")
    (tmp_path / "b").write_text("text")
    (tmp_path / "c").write_text("other text")

    def of(stage="tokens", size=1, path="a"):
        return describe(stage, {"size": size, "parts": (1, 2)}, {"text": tmp_path / path})

    assert of() == of(path="b"), "where an input lies does not matter"
    assert of() != of(path="c")
    assert of() != of(size=2)
    assert of() != of(stage="vocabulary")
    assert of() == json.loads(json.dumps(of())), "as it will be read back"


def test_only_a_whole_and_equal_record_is_current(tmp_path):
    description = describe("tokens", {"content": "one"}, {})
    assert not is_current(tmp_path / "out", description)
    write(tmp_path / "out", "tokens", "one")
    assert is_current(tmp_path / "out", description)
    assert not is_current(tmp_path / "out", describe("tokens", {"content": "two"}, {}))
    record = tmp_path / "out" / RECORD
    assert json.loads(record.read_text())["versions"]["xling"]
    record.write_text(record.read_text()[:-10])
    assert not is_current(tmp_path / "out", description)
