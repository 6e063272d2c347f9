"""A verb that is killed, or finds the disk full, at any moment ends well when it is run again."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

EVERY = bool(os.environ.get("XLING_EVERY_OPERATION"))  # instead of a sample
SAMPLE = 5
VERBS = [
    *("data conlang", "data derive", "data prepare", "data hub", "vocabulary", "tokens"),
    *("pretrain", "probe", "audit"),
    *("similarity", "align words", "align sentences", "align context", "align export"),
    *("transfer", "report"),
]
IN_PLACE = ("pretrain", "data hub", "report")
# Times and rates, and names that have them.
OF_ITS_TIME = ("log.jsonl", "preflight.json", "events.out.tfevents")

pytestmark = pytest.mark.slow


def tree(folder: Path) -> dict[str, bytes]:
    """Return everything below a folder that a second run would write again."""
    found = [path for path in sorted(folder.rglob("*")) if not path.name.startswith(OF_ITS_TIME)]
    # A figure as PDF holds the time it was made at.
    read = {path for path in found if path.is_file() and path.suffix != ".pdf"}
    return {
        str(path.relative_to(folder)): path.read_bytes() if path in read else b"" for path in found
    }


def hash_of(folder: Path) -> str:
    """Return a hash of all that is below a folder: names, kinds, content, links."""
    found = hashlib.blake2b()
    for path in sorted(folder.rglob("*")):
        content = path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        found.update(repr((path.relative_to(folder), content)).encode())
    return found.hexdigest()


def numbers(count: int, shift: float) -> list[int]:
    """Return the operations to stop at: all, or some, evenly spaced, from the first to the last.

    A ``shift`` below 1 moves them towards the next, so that other tests stop at others.
    """
    if EVERY or count <= SAMPLE:
        return list(range(1, count + 1))
    spaced = (np.arange(SAMPLE) + shift) / (SAMPLE - 1) * (count - 1) + 1
    return sorted({min(count, int(number)) for number in spaced.round()})


@pytest.fixture
def trial(tmp_path, tiny, study, zygote, command):
    """Run a verb to its end, then again with each of some operations as its last."""

    def run_trials(verb: str, how: str, earlier: bool):
        def begin(name: str) -> Path:
            folder = tmp_path / name
            folder.mkdir()
            if verb == "report":
                shutil.copytree(study, folder / "out")
            if earlier:
                shutil.copytree(tmp_path / "first", folder, dirs_exist_ok=True, symlinks=True)
                record = folder / "out" / "artefact.json"
                record.write_text(record.read_text().replace('"config": {', '"config": {"old": 1,'))
            return folder

        shift = 0.25 * (2 * earlier + (how == "full"))
        words = command(verb, tiny, "out")
        if earlier:
            (tmp_path / "first").mkdir()
            assert zygote.run(tmp_path / "first", words).status == 0
        whole = zygote.run(begin("whole"), words)
        assert whole.status == 0, whole.said
        expected = tree(tmp_path / "whole")
        failures, trials = [], 0
        stops = every_kill if EVERY and how == "kill" else some_stops
        for number, folder, stopped in stops(begin, words, how, numbers(whole.operations, shift)):
            again = zygote.run(folder, words)
            found = tree(folder)
            trials += 1
            faults = list(check(how, stopped))
            if again.status:
                faults.append(f"run again: {again.status}: {again.said[-1500:]}")
            else:
                differing = [
                    k for k in expected.keys() | found.keys() if expected.get(k) != found.get(k)
                ]
                faults += [f"differs: {name}" for name in sorted(differing)]
            if faults:
                failures.append(
                    f"{verb}, {how} at {number} of {whole.operations}: " + "; ".join(faults)
                )
            shutil.rmtree(folder)
        print(
            json.dumps(
                {
                    "verb": verb,
                    "how": how,
                    "earlier": earlier,
                    "operations": whole.operations,
                    "trials": trials,
                    "failures": len(failures),
                }
            )
        )
        assert not failures, "\n".join(failures)

    def some_stops(begin, words, how, chosen):
        for number in chosen:
            folder = begin(f"{how}-{number}")
            yield number, folder, zygote.run(folder, words, how, number)

    def every_kill(begin, words, how, chosen):
        """Yield what a kill at each operation leaves, in place; equal remains only once."""
        copies, remains = tmp_path / "copies", set()
        copies.mkdir()
        folder = begin("killed")
        assert zygote.run(folder, words, "copy", copies=copies).status == 0
        for number in chosen:
            left = hash_of(copies / str(number))
            if left not in remains:
                remains.add(left)
                shutil.rmtree(folder, ignore_errors=True)
                shutil.move(copies / str(number), folder)
                yield number, folder, None

    def check(how, stopped):
        if stopped is None:
            return
        if how == "kill":
            if stopped.status != -9:
                yield f"not killed: {stopped.status}: {stopped.said[-300:]}"
            return
        errors = [line for line in stopped.said.splitlines() if line.startswith("error: ")]
        if (
            stopped.status not in (0, 2)
            or (stopped.status == 2 and len(errors) != 1)
            or "Traceback" in stopped.said
        ):
            yield f"full: {stopped.status}: {stopped.said[-1500:]}"

    return run_trials


@pytest.mark.parametrize("how", ["kill", "full"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_stopped_at_any_file_operation_ends_the_same_when_run_again(trial, verb, how):
    trial(verb, how, earlier=False)


@pytest.mark.parametrize("how", ["kill", "full"])
@pytest.mark.parametrize("verb", [v for v in VERBS if v not in IN_PLACE])
def test_a_verb_stopped_while_it_replaces_its_earlier_output(trial, verb, how):
    trial(verb, how, earlier=True)
