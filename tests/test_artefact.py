"""Outputs that replace only their own kind."""

import errno
import json
import os
from pathlib import Path

import pytest

from xling.artefact import (
    RECORD,
    altered_files,
    building,
    check_file,
    check_output,
    describe,
    is_current,
)
from xling.errors import XlingError
from xling.files import content_hash


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


def test_an_output_of_other_versions_is_kept_and_named(tmp_path, caplog):
    description = describe("tokens", {"content": "one"}, {})
    write(tmp_path / "out", "tokens", "one")
    record = tmp_path / "out" / RECORD
    assert is_current(tmp_path / "out", description)
    assert "computed with" not in caplog.text
    content = json.loads(record.read_text())
    now = content["versions"]["numpy"]
    content["versions"] |= {"numpy": "1.2.3", "python": "3.11.0"}
    record.write_text(json.dumps(content))
    assert is_current(tmp_path / "out", description)
    assert f"computed with numpy 1.2.3 (now {now}); delete it" in caplog.text


LARGE = 2 << 20  # more than is hashed at every look


def fill(folder: Path) -> dict:
    description = describe("tokens", {}, {})
    with building(folder, description) as temporary:
        (temporary / "en").mkdir()
        (temporary / "en" / "small.json").write_text('{"a": 1}')
        (temporary / "large.bin").write_bytes(bytes(LARGE))
    return description


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def alter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")


@pytest.mark.parametrize("damage", [truncate, alter, Path.unlink])
@pytest.mark.parametrize("name", ["en/small.json", "large.bin"])
def test_a_damaged_output_is_not_current_and_is_made_again(tmp_path, caplog, name, damage):
    description = fill(tmp_path / "out")
    assert is_current(tmp_path / "out", description)
    damage(tmp_path / "out" / name)
    assert not is_current(tmp_path / "out", description)
    assert f"{tmp_path / 'out' / name}: " in caplog.text
    fill(tmp_path / "out")
    assert is_current(tmp_path / "out", description)


def test_a_large_file_is_read_again_only_if_it_was_written_after_the_record(tmp_path):
    description = fill(tmp_path / "out")
    path, record = tmp_path / "out" / "large.bin", tmp_path / "out" / RECORD
    path.write_bytes(bytes(LARGE))
    assert is_current(tmp_path / "out", description), "a copy has the same content"
    alter(path)
    os.utime(path, ns=(0, record.stat().st_mtime_ns))
    assert is_current(tmp_path / "out", description)
    assert altered_files(tmp_path / "out") == []
    with pytest.raises(XlingError, match="its content differs"):
        check_file(path)


def test_an_altered_input_is_refused_with_what_works(tmp_path, caplog):
    fill(tmp_path / "out")
    path = tmp_path / "out" / "en" / "small.json"
    describe("vocabulary", {}, {"tokens": path})
    alter(path)
    assert altered_files(tmp_path / "out") == [path]
    message = rf"{path}: was altered .*delete {tmp_path / 'out'} and run again .*xling tokens"
    with pytest.raises(XlingError, match=message):
        describe("vocabulary", {}, {"tokens": path})
    with pytest.raises(XlingError, match=message):
        check_file(path)
    # Data folders are a user's to change.
    record = tmp_path / "out" / RECORD
    record.write_text(record.read_text().replace('"tokens"', '"conlang"', 1))
    assert describe("vocabulary", {}, {"tokens": path})["inputs"] == {"tokens": content_hash(path)}
    assert f"{path}: was altered" in caplog.text


def test_an_altered_file_is_seen_from_within_its_output_and_through_a_link(tmp_path, monkeypatch):
    with building(tmp_path / "out", describe("pretrain", {}, {})) as temporary:
        (temporary / "model" / "en").mkdir(parents=True)
        (temporary / "model" / "en" / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "out" / "model")
    monkeypatch.chdir(tmp_path / "out" / "model")
    names = (Path("en/config.json"), Path("../model/en/config.json"))
    names = (*names, tmp_path / "link" / "en" / "config.json")
    for path in names:
        check_file(path)
    names[0].write_text("[]")
    for path in names:
        with pytest.raises(XlingError, match=r"config\.json: was altered .*xling pretrain"):
            check_file(path)


@pytest.mark.parametrize("facts", [3, [], None, {"bytes": "many"}, {"bytes": 1}])
def test_a_record_that_somebody_wrote_by_hand_is_no_traceback(tmp_path, facts):
    description = fill(tmp_path / "out")
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    record["files"]["large.bin"] = facts
    (tmp_path / "out" / RECORD).write_text(json.dumps(record))
    check_file(tmp_path / "out" / "large.bin")
    assert is_current(tmp_path / "out", description)


def test_a_record_from_before_files_were_recorded_is_accepted(tmp_path):
    description = fill(tmp_path / "out")
    record = json.loads((tmp_path / "out" / RECORD).read_text())
    del record["files"]
    (tmp_path / "out" / RECORD).write_text(json.dumps(record))
    alter(tmp_path / "out" / "large.bin")
    assert is_current(tmp_path / "out", description)
    check_file(tmp_path / "out" / "large.bin")


def test_a_cut_off_record_still_says_whose_output_it_is(tmp_path):
    description = fill(tmp_path / "out")
    record = tmp_path / "out" / RECORD
    record.write_text(record.read_text()[:40])
    assert not is_current(tmp_path / "out", description)
    with pytest.raises(XlingError, match="output of the stage 'tokens', not of 'probe'"):
        check_output(tmp_path / "out", "probe")
    fill(tmp_path / "out")
    record.write_text("")
    with pytest.raises(XlingError, match=r"artefact\.json: is damaged.*delete"):
        check_output(tmp_path / "out", "tokens")


def test_files_that_somebody_put_into_an_output_are_not_replaced(tmp_path):
    description = fill(tmp_path / "out")
    (tmp_path / "out" / "en" / "notes.txt").write_text("of a week")
    (tmp_path / "out" / ".done").touch()
    assert is_current(tmp_path / "out", description)
    other = {**description, "config": {"new": 1}}
    assert not is_current(tmp_path / "out", other, in_place=True)
    with pytest.raises(XlingError, match=r"en/notes\.txt: was not written by xling"):
        is_current(tmp_path / "out", other)
    (tmp_path / "out" / "en" / "notes.txt").unlink()
    assert not is_current(tmp_path / "out", other)


def test_an_output_that_would_replace_an_input_is_refused(tmp_path):
    fill(tmp_path / "all" / "out")
    for out in (tmp_path / "all", tmp_path / "all" / "out"):
        with pytest.raises(XlingError, match="is read by this command"):
            check_output(out, "tokens", tmp_path / "all" / "out")
    check_output(tmp_path / "all" / "out" / "further", "tokens", tmp_path / "all" / "out")
    (tmp_path / "link").symlink_to(tmp_path / "all")
    with pytest.raises(XlingError, match="is read by this command"):
        check_output(tmp_path / "link" / "out", "tokens", tmp_path / "all" / "out")


def test_an_output_that_cannot_be_written_is_found_before_any_work(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    with pytest.raises(XlingError, match=r"cannot be written, since .*/file is not a folder"):
        check_output(tmp_path / "file" / "below" / "out", "tokens")
    with pytest.raises(XlingError, match="is a file"):
        check_output(tmp_path / "file", "tokens")
    with pytest.raises(OSError, match="too long"):
        check_output(tmp_path / ("n" * 250), "tokens")
    with pytest.raises(OSError, match="too long"):
        check_output(tmp_path / ("n" * 300) / "out", "tokens")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/new/out'"):
        check_output(tmp_path / "new" / "out", "tokens")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
