"""Files are whole or absent, whatever happens while they are written."""

import errno
import gzip
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from xling.errors import XlingError
from xling.files import (
    atomic_file,
    atomic_folder,
    clear_leftovers,
    content_hash,
    disk_fault,
    only_writer,
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
    with pytest.raises(XlingError, match="is a folder"):
        content_hash(tmp_path)


HOLD = """
import sys
from pathlib import Path
from xling.files import only_writer
with only_writer(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """A process that writes ``out`` until its input is closed; locks lie in a folder of our own."""
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    command = [sys.executable, "-c", HOLD, str(tmp_path / "below" / "out")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def waiting(process):
    """Return the line with which a process says that it waits."""
    return process.stderr.readline()


def test_one_process_at_a_time_writes_a_path(holder, tmp_path):
    second = subprocess.Popen(
        holder.args,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    line = waiting(second)
    assert f"another process ({holder.pid}) is writing it; waiting" in line
    with only_writer(tmp_path / "below" / "other"):  # another path is free
        pass
    holder.stdin.close()
    assert second.communicate()[0] == "held\n"
    assert second.returncode == 0
    holder.wait()
    assert names(tmp_path) == ["locks"]
    assert names(tmp_path / "locks") == []


def test_a_killed_writer_holds_nobody_up(holder, tmp_path, capsys):
    holder.kill()
    holder.wait()
    assert len(names(tmp_path / "locks")) == 1
    path = tmp_path / "below" / "out"
    with only_writer(path), only_writer(path):  # once more in the same process
        assert len(names(tmp_path / "locks")) == 1
    assert names(tmp_path / "locks") == []
    assert capsys.readouterr().err == ""


def test_the_first_of_several_processes_holds_it_for_all(holder, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with only_writer(tmp_path / "below" / "out"):
        assert holder.poll() is None


def test_where_no_lock_can_be_had_work_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with only_writer(tmp_path / "out"):
        pass


@pytest.mark.parametrize("earlier", [True, False])
def test_a_folder_whose_writer_was_killed_while_it_took_its_place_is_there_again(
    tmp_path, monkeypatch, earlier
):
    """Between the two renames there is no folder of that name."""
    path = tmp_path / "out"
    path.mkdir()
    (path / "a").write_text("before")
    script = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from xling.files import atomic_folder\n"
        "replace, path = os.replace, Path(sys.argv[1])\n"
        "def once(*names):\n"
        "    replace(*names)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.replace = once\n"
        "with atomic_folder(path) as folder: (folder / 'a').write_text('after')\n"
    )
    result = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert not path.exists()
    if not earlier:
        shutil.rmtree(next(tmp_path.glob("*.tmp")))
    clear_leftovers(path)
    assert (path / "a").read_text() == ("after" if earlier else "before")
    assert names(tmp_path) == ["out"]


def test_a_leftover_of_a_dead_process_with_our_number_goes(tmp_path):
    left = tmp_path / f".out.{socket.gethostname()}-{os.getpid()}.tmp"
    left.mkdir()
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").write_text("a")
    assert names(tmp_path) == ["out"]


def test_two_writers_of_one_folder_do_not_disturb_each_other(tmp_path, monkeypatch):
    """The other's folder takes the name between our look and our rename."""
    replace, path, done = os.replace, tmp_path / "out", []

    def second(source, target):
        if target == path and not done:
            done.append(True)
            path.mkdir()
            (path / "b").write_text("theirs")
        replace(source, target)

    monkeypatch.setattr(os, "replace", second)
    with atomic_folder(path) as folder:
        (folder / "a").write_text("ours")
    assert names(path) == ["a"]
    assert names(tmp_path) == ["out"]


def test_a_folder_behind_a_link_is_replaced_where_it_lies(tmp_path):
    (tmp_path / "disk" / "out").mkdir(parents=True)
    (tmp_path / "disk" / "source").write_text("x")
    (tmp_path / "disk" / "source").chmod(0o400)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "out")
    for name in ("one", "two"):
        with atomic_folder(tmp_path / "out") as folder:
            (folder / name).symlink_to(tmp_path / "disk" / "source")
        assert (tmp_path / "out").is_symlink()
        assert names(tmp_path / "disk" / "out") == [name]
    assert (tmp_path / "disk" / "source").stat().st_mode & 0o777 == 0o400
    assert names(tmp_path) == ["disk", "out"]


def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("before")
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/new/file'"),
        atomic_file(tmp_path / "new" / "file"),
    ):
        full()
    with (
        pytest.raises(OSError, match=r"No space left on device: '.*/out/a'"),
        atomic_folder(tmp_path / "out") as folder,
        atomic_file(folder / "a"),
    ):
        full()
    # What libraries written in Rust say
    message = "I/O error: No space left on device (os error 28)"
    for error, expected in ((SafetensorError, OSError), (XlingError, XlingError)):
        with pytest.raises(expected), atomic_folder(tmp_path / "out"):
            raise error(message)
    assert (tmp_path / "out" / "a").read_text() == "before"
    assert names(tmp_path) == ["new", "out"]
    assert names(tmp_path / "new") == []


def test_what_the_disk_refuses_is_said_with_the_file_and_the_reason(tmp_path):
    for error, said in (
        (OSError(errno.ENOSPC, "No space left on device", "out/a"), "out/a: cannot be"),
        (OSError(errno.ENOSPC, "No space left on device"), "cannot be read or written (No space"),
        (OSError("the index is broken"), "cannot be read or written (the index is broken)"),
        (shutil.Error([("a", "out/b", "[Errno 28] No space"), ("c", "d", "e")]), "out/b: cannot"),
    ):
        assert disk_fault(error).startswith(said)
