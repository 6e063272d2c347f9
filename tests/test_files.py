"""Files are whole or absent, whatever happens while they are written."""

import gzip
import hashlib
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from xling.errors import XlingError
from xling.files import (
    atomic_file,
    atomic_folder,
    content_hash,
    open_bytes,
    plain_or_gzipped,
    read_json,
    read_yaml,
    write_if_changed,
    write_json,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with atomic_file(path) as file:
        file.write("é\n")
        assert not path.exists()
    assert path.read_bytes() == "é\n".encode()
    assert names(path.parent) == ["file.txt"]


def test_a_failed_write_keeps_what_was_there(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def fail():
        with atomic_file(path, "wb") as file:
            file.write(b"after")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_bytes() == b"before"
    assert names(tmp_path) == ["file"]


def test_a_folder_replaces_the_earlier_one_whole(tmp_path):
    for name in ("one", "two"):
        with atomic_folder(tmp_path / "out") as folder:
            (folder / name).write_text(name)
        assert names(tmp_path / "out") == [name]

    def fail():
        with atomic_folder(tmp_path / "out") as folder:
            (folder / "three").write_text("three")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(tmp_path / "out") == ["two"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_killed_writer_leaves_what_was_there(tmp_path, kind):
    code = {
        "file": "with atomic_file(path) as f: f.write('after'); f.flush(); kill()",
        "folder": "with atomic_folder(path) as f: (f / 'a').write_text('after'); kill()",
    }[kind]
    path = tmp_path / "out"
    if kind == "file":
        path.write_text("before")
    else:
        path.mkdir()
        (path / "a").write_text("before")
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from xling.files import atomic_file, atomic_folder\n"
        "def kill(): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"path = Path(sys.argv[1])\n{code}\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert (path if kind == "file" else path / "a").read_text() == "before"
    assert len(names(tmp_path)) == 2, "the temporary is there, under a name of its own"


def test_an_unchanged_file_is_not_written(tmp_path):
    path = tmp_path / "a" / "file"
    write_if_changed(path, "é\n")
    first = path.stat()
    write_if_changed(path, "é\n")
    assert path.stat().st_ino == first.st_ino
    write_if_changed(path, "e\n")
    assert path.read_text() == "e\n"


def test_json_survives_and_a_broken_one_is_named(tmp_path):
    path = tmp_path / "value.json"
    write_json(path, {"a": [1, "é"], "b": None})
    assert read_json(path) == {"a": [1, "é"], "b": None}
    assert "é" in path.read_text(encoding="utf-8")
    path.write_text('{"a": ')
    with pytest.raises(XlingError, match=r"value\.json: not valid JSON"):
        read_json(path)
    path.write_bytes(b"\xff")
    with pytest.raises(XlingError, match=r"value\.json: not valid JSON"):
        read_json(path)
    with pytest.raises(XlingError, match=r"none\.json: not found"):
        read_json(tmp_path / "none.json")


def test_a_broken_yaml_is_named_with_its_line(tmp_path):
    path = tmp_path / "value.yaml"
    path.write_text("a: 1\nb: [2\n")
    with pytest.raises(XlingError, match=r"value\.yaml: not valid YAML.*(?s:.)*line"):
        read_yaml(path)
    path.write_text("a: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(XlingError, match="not valid YAML"):
        read_yaml(path)


def test_plain_comes_before_gzipped(tmp_path):
    path = tmp_path / "text.txt"
    assert plain_or_gzipped(path) is None
    with gzip.open(tmp_path / "text.txt.gz", "wb") as file:
        file.write(b"packed")
    found = plain_or_gzipped(path)
    assert found == tmp_path / "text.txt.gz"
    with open_bytes(found) as file:
        assert file.read() == b"packed"
    path.write_bytes(b"plain")
    found = plain_or_gzipped(path)
    assert found == path
    with open_bytes(found) as file:
        assert file.read() == b"plain"


def test_the_hash_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "file"
    content = os.urandom((1 << 20) + 17)
    path.write_bytes(content)
    assert content_hash(path) == hashlib.blake2b(content, digest_size=16).hexdigest()


def test_what_a_library_wrote_is_as_readable_as_any_other_file(tmp_path):
    plain = tmp_path / "plain"
    plain.write_text("x")
    with atomic_file(tmp_path / "weights", "wb") as file:
        save_file({"a": np.zeros(3, dtype=np.float32)}, file.name)
    with atomic_folder(tmp_path / "model") as folder:
        save_file({"a": np.zeros(3, dtype=np.float32)}, folder / "weights")
    for name in ("weights", "model/weights"):
        assert (tmp_path / name).stat().st_mode == plain.stat().st_mode
        assert load_file(tmp_path / name)["a"].tolist() == [0, 0, 0]


def test_only_a_file_has_a_hash(tmp_path):
    with pytest.raises(XlingError, match="missing: not found"):
        content_hash(tmp_path / "missing")
    with pytest.raises(XlingError, match="is not a file"):
        content_hash(tmp_path)
