"""Outputs that replace only their own kind."""

from pathlib import Path

import pytest

from xling.artefact import building, describe, is_current
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
