"""What is said when a data set does not have what was asked for, or the hub does not answer."""

import os
import socket

import pytest
from datasets import ClassLabel, Features, Sequence, Value
from huggingface_hub.errors import HfHubHTTPError

from xling.data.hub import dataset as dataset_module
from xling.data.hub.dataset import DataSet
from xling.data.hub.spec import Source
from xling.errors import XlingError


def source(data, **changes):
    values = {"files": "{config}/{split}/*.parquet", "config": "{language}", "licence": "none"}
    return Source(data=str(data), **{**values, **changes})


def rows(dataset, config="en", split="train", columns=("tokens", "tags"), names=None):
    return list(dataset.rows(config, split, columns, names))


@pytest.fixture
def folder(tmp_path):
    from datasets import Dataset

    features = Features(
        {"tokens": Sequence(Value("string")), "tags": Sequence(ClassLabel(names=["O", "B-X"]))}
    )
    for shard in (1, 0):
        path = tmp_path / f"data/en/train/000{shard}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {"tokens": [["a", f"{shard}"]], "tags": [[0, 1]]}
        Dataset.from_dict(columns, features=features).to_parquet(path)
    return tmp_path / "data"


def test_rows_come_in_the_order_of_files_with_named_classes(folder):
    found = rows(DataSet(source(folder)))
    assert found == [
        {"tokens": ["a", "0"], "tags": ["O", "B-X"]},
        {"tokens": ["a", "1"], "tags": ["O", "B-X"]},
    ]


def test_local_files_ask_nobody(folder, monkeypatch):
    asked = []

    def ask(*address: object) -> None:
        asked.append(address)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    assert len(rows(DataSet(source(folder)))) == 2
    assert not asked


def test_numbers_without_classes_take_the_names_given(folder):
    from datasets import Dataset

    path = folder / "en/test/0000.parquet"
    path.parent.mkdir()
    Dataset.from_dict({"label": [1, -1, 0, 7]}).to_parquet(path)
    found = rows(DataSet(source(folder)), "en", "test", ["label"], ["no", "yes"])
    assert [row["label"] for row in found] == ["yes", None, "no", None]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"config": "fr"},
            r"no file fr/train/\*\.parquet; expected a configuration 'fr', found en",
        ),
        ({"split": "test"}, r"'en' is there, but not the split 'test': it has train"),
        ({"columns": ["tokens", "label"]}, r"has no column label; found tokens, tags"),
    ],
)
def test_what_is_missing_is_named_with_what_is_there(folder, asked, said):
    with pytest.raises(XlingError, match=said):
        rows(DataSet(source(folder)), **asked)


def test_a_file_that_is_not_parquet(folder):
    (folder / "en/train/0000.parquet").write_bytes(b"<html>busy</html>")
    with pytest.raises(XlingError, match=r"0000\.parquet: not a parquet file"):
        rows(DataSet(source(folder)))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(XlingError, match=r"nowhere: not found; expected a folder with"):
        DataSet(source(tmp_path / "nowhere"))
    repository = source("owner/name", revision="0" * 40)
    with pytest.raises(XlingError, match=r"owner/name: not found; expected a folder with"):
        DataSet(repository, tmp_path)


def client_error() -> Exception:
    """What the hub's HTTP client raises when there is no network."""
    kinds = {kind.__name__: kind for kind in HfHubHTTPError.__mro__}
    return kinds.get("HTTPError", OSError)("Name or service not known")


@pytest.mark.parametrize("error", [client_error(), OSError("broken"), ConnectionError("offline")])
def test_without_network_it_says_how_to_do_without(monkeypatch, error):
    class Unreachable:
        def glob(self, pattern):
            assert pattern == f"datasets/owner/name@{'0' * 40}/en/train/*.parquet"
            raise error

    monkeypatch.setattr(DataSet, "_system", lambda self: Unreachable())
    dataset = DataSet(source("owner/name", revision="0" * 40))
    with pytest.raises(XlingError) as caught:
        rows(dataset)
    message = str(caught.value)
    assert "owner/name on the hub: cannot be read" in message
    assert f"hf download --repo-type dataset owner/name --revision {'0' * 40}" in message
    assert "--mirror MIRROR" in message


def test_the_converted_branch_is_read_at_the_commit_it_is_at(monkeypatch):
    monkeypatch.setattr(dataset_module, "_commit", lambda source: "a" * 40)
    dataset = DataSet(source("owner/name", revision="refs/convert/parquet"))
    assert dataset.revision == "a" * 40
    assert dataset.identity(["en"], ["train"]) == ["owner/name", "a" * 40]


def test_a_pipe_in_place_of_a_file_is_refused_before_it_is_opened(folder):
    path = folder / "en/train/0000.parquet"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(XlingError, match=r"0000\.parquet: is a named pipe"):
        DataSet(source(folder)).files("en", "train")
