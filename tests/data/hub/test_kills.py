"""A fill that is killed before any of its file operations goes on to the same folder."""

import os
import shutil
import signal
import sys

import pytest
import yaml

from xling.data.hub.dataset import DataSet
from xling.data.hub.fill import fill
from xling.files import content_hash

_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.symlink"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def specification(folder, languages, lines):
    """A fill of every kind of unit, small enough to be killed often."""
    (folder / "words.txt").write_text("house maison\nold\tvieille\n")
    spec = {
        "languages": languages,
        "text": {"wiki": {"preset": "wikipedia", "lines": lines, "languages": ["en"]}},
        "parallel": {"pud": {"preset": "pud"}},
        "ner": {"preset": "wikiann", "splits": {"test": "test"}, "languages": ["en"]},
        "dictionaries": {
            "en-fr": {"train": "words.txt", "source": "made for the test", "licence": "CC0-1.0"}
        },
    }
    path = folder / f"{'-'.join(languages)}-{lines}.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


@pytest.fixture
def rows_in_memory(mirror, monkeypatch):
    """Rows of the mirror's data sets, read once: a forked process must not need their library."""
    rows, kept = DataSet.rows, {}

    def remembered(self, config, split, columns, names=None):
        key = (self.source.data, config, split)
        if key not in kept:
            kept[key] = list(rows(self, config, split, columns, names))
        return iter(kept[key])

    monkeypatch.setattr(DataSet, "rows", remembered)


def killed_before(operation, out, work):
    """Run ``work`` in a fork that is killed before its n-th change below ``out``; false if none."""
    child = os.fork()
    if child == 0:
        left = [operation]

        def count(event, arguments):
            changes = event in _CHANGES or (event == "open" and (arguments[2] or 0) & _WRITES)
            if changes and str(arguments[0]).startswith(str(out)):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def layout_of(out):
    return {
        str(path.relative_to(out)): content_hash(path)
        for path in out.rglob("*")
        if path.is_file() and ".hub" not in path.parts
    }


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a fork")
@pytest.mark.parametrize("filled_before", [False, True])
def test_killed_at_every_file_operation(
    mirror, rows_in_memory, tmp_path, filled_before, monkeypatch
):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # killed, not without power
    wanted = specification(tmp_path, ["en", "fr"], 12)
    earlier = specification(tmp_path, ["en", "fr", "de"], 9)
    whole, start, out = tmp_path / "whole", tmp_path / "start", tmp_path / "out"
    fill(earlier, start, mirror.root)
    if not filled_before:
        shutil.rmtree(start)
        start.mkdir()
    shutil.copytree(start, whole, copy_function=shutil.copy2)
    fill(wanted, whole, mirror.root)
    operation = 0
    while True:
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(start, out)
        if not killed_before(operation, out, lambda: fill(wanted, out, mirror.root)):
            break
        fill(wanted, out, mirror.root)
        assert layout_of(out) == layout_of(whole), f"killed before operation {operation}"
        assert not list(out.rglob("*.tmp")), f"killed before operation {operation}"
        operation += 1
    assert operation > 20
