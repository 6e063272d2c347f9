"""Every verb refuses every unusable input with one line and status 2, and writes nothing."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SECONDS = 40  # a verb that waits for a pipe waits for ever
pytestmark = pytest.mark.slow


def missing(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def file_for_folder(path: Path) -> None:
    missing(path)
    path.write_text("x\n")


def folder_for_file(path: Path) -> None:
    missing(path)
    path.mkdir()


def empty(path: Path) -> None:
    missing(path)
    path.write_text("")


def empty_folder(path: Path) -> None:
    missing(path)
    path.mkdir()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def not_utf8(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] + b"\xe9\xff" + content[len(content) // 2 :])


def pipe(path: Path) -> None:
    missing(path)
    os.mkfifo(path)


def endless(path: Path) -> None:
    missing(path)
    path.symlink_to("/dev/zero")


def a_list(path: Path) -> None:
    path.write_text("- " + path.read_text().replace("\n", "\n  ") + "\n")


def unknown_key(path: Path) -> None:
    path.write_text(path.read_text() + "surprise: 1\n")


def unclosed(path: Path) -> None:
    path.write_text(path.read_text() + "surprise: [1,\n")


def lfs_pointer(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")


Damage = Callable[[Path], None]
ANY_FILE: tuple[Damage, ...] = (missing, folder_for_file, empty, pipe, endless)
FOLDER: tuple[Damage, ...] = (missing, file_for_folder, empty_folder, pipe)
SETTINGS: tuple[Damage, ...] = (*ANY_FILE, not_utf8, a_list, unknown_key, unclosed)
TEXT: tuple[Damage, ...] = (*ANY_FILE, not_utf8)
JSON: tuple[Damage, ...] = (*ANY_FILE, truncated, not_utf8)
BINARY: tuple[Damage, ...] = (*ANY_FILE, truncated, lfs_pointer)

DATA = {"data": FOLDER}
WIKI = {"data/text/wiki/bb.txt": TEXT}
HELDOUT = {"data/parallel/heldout/bb.txt": TEXT}
TRAIN = {"data/parallel/train/bb.txt": TEXT}
NER = {f"data/ner/{name}.iob2": TEXT for name in ("aa/train", "aa/dev", "bb/test")}
VOCABULARY = {
    "vocabulary": FOLDER,
    "vocabulary/vocabulary.json": JSON,
    "vocabulary/bb/tokenizer.json": JSON,
}
TOKENS = {
    "tokens": FOLDER,
    "tokens/index.json": JSON,
    "tokens/bb/counts.npy": BINARY,
    "tokens/bb/wiki.train-00000.bin": BINARY,
}
MEMBER = {
    "run/model/bb": FOLDER,
    "run/model/bb/config.json": JSON,
    "run/model/bb/model.safetensors": BINARY,
    "run/model/bb/tokenizer.json": JSON,
}
FAMILY = {"run/model": FOLDER, "run/model/family.json": JSON, **MEMBER}
READS: dict[str, dict[str, tuple[Damage, ...]]] = {
    "data conlang": {},
    "data derive": {**DATA, **WIKI},
    "data prepare": {**DATA, **WIKI},
    "data hub": {"settings/rows": FOLDER, "settings/rows/bb.parquet": (*ANY_FILE, truncated)},
    "vocabulary": {**DATA, **WIKI},
    "tokens": {**DATA, **WIKI, **VOCABULARY},
    "pretrain": {**TOKENS, **VOCABULARY},
    "probe": {**DATA, **HELDOUT, **FAMILY},
    "audit": {**DATA, **HELDOUT, **FAMILY},
    "similarity": {**DATA, **HELDOUT, **MEMBER},
    "align words": {**DATA, **WIKI, **MEMBER, "data/dictionaries/aa-bb.train.tsv": TEXT},
    "align sentences": {**DATA, **HELDOUT, **TRAIN, **MEMBER},
    "align context": {**DATA, **TRAIN, **NER, **MEMBER},
    "align export": {**DATA, **HELDOUT, **TRAIN, **MEMBER},
    "transfer": {**DATA, **NER, **FAMILY},
}
# Verbs that make nothing that other verbs read: their arguments, and what must be whole for them.
SHOW: dict[str, tuple[list[str], dict[str, tuple[Damage, ...]]]] = {
    "data check": (
        ["data", "check", "data"],
        {
            "data": FOLDER,
            **dict.fromkeys((*WIKI, *HELDOUT, *NER), TEXT[1:]),
            "data/dictionaries/aa-bb.train.tsv": TEXT[1:],
        },
    ),
    "data show": (["data", "show", "data"], DATA),
    "report": (["report", "study"], {"study": FOLDER, "study/plan.json": JSON}),
    "study status": (["study", "status", "study"], {"study": FOLDER, "study/plan.json": JSON}),
    "study claims": (["study", "claims", "study"], {"study": FOLDER, "study/results.csv": TEXT}),
    "study compare": (
        ["study", "compare", "study", "study"],
        {"study": FOLDER, "study/results.csv": TEXT, "study/study.json": JSON},
    ),
    "study parameters": (["study", "parameters", "study.yaml"], {"study.yaml": SETTINGS}),
    "study plan": (
        ["study", "plan", "study.yaml", "--data", "data"],
        {"study.yaml": SETTINGS, "data": FOLDER, "data/text/wiki/bb.txt": (missing, endless)},
    ),
    "study run": (
        ["study", "run", "study.yaml", "--data", "data", "--dry-run"],
        {"study.yaml": SETTINGS, "data": FOLDER, "data/text/wiki/bb.txt": (missing, endless)},
    ),
}
# What leaves enough to work with, so that the verb may do its work.
FINE = {
    # The set is then one that has not both languages.
    ("probe", "data/parallel/heldout/bb.txt", "missing"),
    # The language has evaluation parts then, and no text.
    ("data prepare", "data/text/wiki/bb.txt", "missing"),
    # What is there is turned round.
    ("data derive", "data/text/wiki/bb.txt", "empty"),
}
# Fills a folder piece by piece, and goes on from what is there.
IN_PLACE = ("data hub",)


def cases() -> Iterator[tuple[str, str, Damage]]:
    for verb, inputs in READS.items():
        settings = f"settings/{verb.replace(' ', '-')}.yaml"
        for name, damages in {settings: SETTINGS, **inputs}.items():
            for damage in damages:
                yield verb, name, damage


@pytest.fixture(params=READS)
def verb(request) -> str:
    return request.param


def test_a_verb_refuses_what_it_cannot_read(verb, tiny, zygote, command, tmp_path):
    failures = []
    for name, damage in ((name, damage) for of, name, damage in cases() if of == verb):
        root = tmp_path / "inputs"
        shutil.copytree(tiny, root, symlinks=True)
        for record in root.rglob("artefact.json"):
            record.unlink()  # or it would say first that something was altered
        if verb == "data hub":
            path = root / "settings" / "data-hub.yaml"
            path.write_text(path.read_text().replace(str(tiny), str(root)))
        damage(root / name)
        ended = zygote.run(tmp_path, command(verb, root, "out"), seconds=SECONDS)
        fault = unfit(ended, tmp_path / ("none" if verb in IN_PLACE else "out"))
        if fault and not (ended.status == 0 and (verb, name, damage.__name__) in FINE):
            failures.append(f"{verb}, {name} {damage.__name__}: {fault}")
        shutil.rmtree(root)
        for left in tmp_path.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures)


@pytest.mark.parametrize("verb", SHOW)
def test_a_verb_that_only_shows_refuses_it_too(verb, tiny, study, zygote, tmp_path):
    words, inputs = SHOW[verb]
    whole, root = tmp_path / "whole", tmp_path / "inputs"
    shutil.copytree(tiny / "data", whole / "data", symlinks=True)
    shutil.copytree(study, whole / "study", symlinks=True)
    shutil.copy(study.parent / "study.yaml", whole)
    if "study/results.csv" in inputs:
        assert zygote.run(whole, ["report", "study"]).status == 0
    for record in whole.rglob("artefact.json"):
        record.unlink()
    failures = []
    for name, damage in ((of, how) for of, ways in inputs.items() for how in ways):
        shutil.copytree(whole, root, symlinks=True)
        damage(root / name)
        ended = zygote.run(root, words, seconds=SECONDS)
        # A check goes on after a problem, and says how many it found.
        found = ended.status == 2 and re.search(r" [1-9]\d* problems?, ", ended.said)
        fault = unfit(ended, root / "runs")
        if fault and ("Traceback" in ended.said or not (verb == "data check" and found)):
            failures.append(f"{verb}, {name} {damage.__name__}: {fault}")
        shutil.rmtree(root)
    assert not failures, f"{len(failures)}:\n" + "\n".join(failures)


def unfit(ended, out: Path) -> str:
    """Say what is wrong with how a command ended that had to be refused; nothing if all is well."""
    errors = [line for line in ended.said.splitlines() if line.startswith("error: ")]
    last = ended.said.strip().rpartition("\n")[2][-300:]
    if ended.status != 2:
        return f"exit status {ended.status}: {last}"
    if "Traceback" in ended.said:
        return f"traceback: {last}"
    if len(errors) != 1:
        return f"{len(errors)} error lines: {ended.said[-300:]!r}"
    if out.exists():
        return f"left {sorted(path.name for path in out.rglob('*'))}: {errors[0][:150]}"
    return ""


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_text("x")
    return folder / "file" / "out"


def a_file(folder: Path) -> Path:
    (folder / "out").write_text("x")
    return folder / "out"


def with_foreign_files(folder: Path) -> Path:
    (folder / "out" / "model").mkdir(parents=True)  # which a run would write too
    (folder / "out" / "model" / "thesis.tex").write_text("years of work")
    return folder / "out"


def of_another_stage(folder: Path) -> Path:
    (folder / "out" / "model").mkdir(parents=True)
    (folder / "out" / "artefact.json").write_text('{"stage": "another"}')
    return folder / "out"


def too_long(folder: Path) -> Path:
    return folder / ("n" * 250)


def above_what_is_read(folder: Path) -> Path:
    return folder / "inputs"


def where_nothing_can_be_made(folder: Path) -> Path:
    return Path("/proc/out")  # as on a file system that is read-only, also for root


@pytest.mark.parametrize(
    "make",
    [
        *(below_a_file, a_file, with_foreign_files, of_another_stage, too_long),
        *(above_what_is_read, where_nothing_can_be_made),
    ],
)
def test_an_unusable_out_is_refused_before_any_work(verb, make, tiny, zygote, command, tmp_path):
    if verb == "data hub" and make in (with_foreign_files, of_another_stage, above_what_is_read):
        pytest.skip("fills a folder beside what is there")
    root = tmp_path / "inputs"
    shutil.copytree(tiny, root, symlinks=True)
    # Were anything read before, it would be this that is said.
    for path in (*root.rglob("*.safetensors"), *root.rglob("*.txt"), *root.rglob("*.parquet")):
        path.write_text("\0")
    out = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    ended = zygote.run(tmp_path, command(verb, root, out), seconds=SECONDS)
    assert unfit(ended, tmp_path / "none") == ""
    message = next(line for line in ended.said.splitlines() if line.startswith("error: "))
    assert str(out.name) in message
    assert "NUL" not in message
    assert sorted(tmp_path.rglob("*")) == before
