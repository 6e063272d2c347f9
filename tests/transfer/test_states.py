"""What a stopped run left is used only as it was written; all else is made again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from xling.transfer.config import TransferConfig
from xling.transfer.experiment import Experiment
from xling.transfer.stage import transfer
from xling.transfer.states import read_record, write_record

QUICK = {
    "task": "ner",
    "source": "aa",
    "targets": ["bb"],
    "batch_sizes": [8],
    "encoder_rates": [1e-3, 5e-3],
    "averaged": 2,
    "epochs": 2,
    "train_sentences": 16,
    "resamples": 0,
}
FEATURE = {"regime": "feature", "layers": [0, 1], "new_layers": 1}


class _Stopped(Exception):  # noqa: N818
    pass


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def alter(path: Path) -> None:
    """Change one byte, which leaves the file as valid as it was wherever it can."""
    content = bytearray(path.read_bytes())
    place = len(content) - 20
    content[place] = ord("7") if content[place] != ord("7") else ord("8")
    path.write_bytes(content)


def results(out: Path) -> dict[str, bytes]:
    files = [path for path in out.rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize(("changes", "stop"), [({}, "aa.iob2"), (FEATURE, "layer-1/bb.iob2")])
def test_damaged_states_are_made_again(model, data, tmp_path, monkeypatch, changes, stop):
    settings = TransferConfig.model_validate(QUICK | changes)
    transfer(str(model), data, tmp_path / "whole" / "out", settings)
    expected = results(tmp_path / "whole" / "out")
    (tmp_path / "stopped").mkdir()
    write = Experiment._write

    def stopping(self, split, layer, predicted):
        if self._file(split, layer).endswith(stop):
            raise _Stopped
        write(self, split, layer, predicted)

    with monkeypatch.context() as patch:
        patch.setattr(Experiment, "_write", stopping)
        with pytest.raises(_Stopped):
            transfer(str(model), data, tmp_path / "stopped" / "out", settings)
    (work,) = (tmp_path / "stopped").iterdir()
    files = sorted(path.relative_to(work) for path in work.rglob("*") if path.is_file())
    kinds = {path.name for path in files}
    assert kinds >= {"progress.json", "best.safetensors"}
    if changes:
        assert kinds >= {"scores.json", "layer-0.npy", "aa.iob2"}
    damages: list[Callable[[Path], None]] = [truncate, empty, alter, Path.unlink]
    for path in files:
        for number, damage in enumerate(damages):
            if damage is alter and path.suffix == ".npy":
                continue  # of these only the size is looked at
            folder = tmp_path / f"{'_'.join(path.parts)}-{number}"
            shutil.copytree(tmp_path / "stopped", folder)
            damage(folder / work.name / path)
            transfer(str(model), data, folder / "out", settings)
            assert results(folder / "out") == expected, (path, damage)
            assert [left.name for left in folder.iterdir()] == ["out"]


def test_a_record_tells_if_it_was_altered(tmp_path, caplog):
    path = tmp_path / "record.json"
    assert read_record(path) is None
    assert not caplog.records  # there is nothing wrong with none
    content = {"a": [1, None, 0.1, float("nan")], "b": {"ü": True}}
    write_record(path, content)
    assert repr(read_record(path)) == repr(content)
    whole = path.read_text()
    for text in (whole[:-9], "", "[]", "7", "{}", whole.replace("0.1", "0.2"), "\0"):
        path.write_text(text)
        assert read_record(path) is None
        assert str(path) in caplog.text
        caplog.clear()
