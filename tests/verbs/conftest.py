"""Tiny inputs of every verb, and a process that runs verbs in forked children."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

LANGUAGES = ["aa", "bb"]
WORLD = {
    "seed": 1,
    "world": {
        **{"nouns": 40, "classes": 8, "properties": 8, "events": 10, "manners": 4},
        **{"topics": 3, "people": 6, "places": 6, "organisations": 6},
    },
    "domains": {"wiki": {"sentences": 160}},
    "parallel": {"heldout": 16, "paraphrase": 0, "train": 40},
    **{part: {"train": 0, "dev": 0, "test": 0} for part in ("ud", "nli")},
    "ner": {"train": 12, "dev": 6, "test": 6},
    "topics": {"train": 12, "dev": 6, "test": 6},
    "languages": {"aa": {}, "bb": {"preset": "near", "cognates": 0.5}},
}
TASK = {"epochs": 1, "resamples": 0, "encoder_rates": [0.001, 0.002], "averaged": 1}
PARALLEL = {"languages": LANGUAGES, "resamples": 0, "random_seeds": [1]}
SETTINGS = {
    "data conlang": WORLD,
    "data derive": {"languages": {"cc": {"of": "bb", "how": "inverted"}}},
    "data hub": {
        "languages": LANGUAGES,
        "text": {
            "wiki": {
                **{"data": "./rows", "files": "{config}.parquet", "config": "{language}"},
                "licence": "CC0-1.0",
            }
        },
        "parallel": {
            "talks": {
                **{"data": "./rows", "files": "{config}.parquet", "config": "{language}"},
                **{"splits": ["train"], "columns": ["said"], "licence": "CC0-1.0"},
            }
        },
    },
    "data prepare": {"lower": True, "duplicates": True, "decontaminate": True},
    "vocabulary": {
        "text": {language: ["wiki"] for language in LANGUAGES},
        "vocabulary": {"size": 160},
    },
    "tokens": {
        "text": {language: ["wiki"] for language in LANGUAGES},
        "tokens": {"dev_share": 0.2, "shard_tokens": 1000},
    },
    "pretrain": {
        "languages": LANGUAGES,
        "model": {
            **{"layers": 1, "heads": 1, "hidden": 8, "feed_forward": 8, "max_length": 16},
            "dropout": 0.0,
        },
        "pretraining": {
            **{"steps": 4, "rows": 2, "length": 16, "snapshots": 2, "dev_rows": 2},
            **{"evaluate_every": 2, "checkpoint_every": 1, "log_every": 1},
        },
    },
    "probe": {
        "languages": LANGUAGES,
        "probe": {"random_seeds": [1], "resamples": 0, "emergence_lines": 8},
    },
    "audit": {"languages": LANGUAGES, "dataset": "heldout", "resamples": 20},
    "similarity": {**PARALLEL, "datasets": ["heldout"], "measures": ["cka"]},
    "align words": {
        **{"languages": LANGUAGES, "resamples": 0, "static_width": 4},
        "text": {language: ["wiki"] for language in LANGUAGES},
    },
    "align sentences": {**PARALLEL, "train": "train", "test": ["heldout"]},
    "align export": {**PARALLEL, "train": "train", "test": ["heldout"], "layer": 1},
    "align context": {
        "languages": LANGUAGES,
        "train": "train",
        "transfer": {**TASK, "task": "ner", "new_layers": 1, "layers": [1]},
    },
    "transfer": {**TASK, "task": "ner", "source": "aa", "targets": ["bb"]},
}
STUDY = {
    "name": "tiny",
    "pairs": ["aa-bb"],
    "text": ["wiki"],
    "model": SETTINGS["pretrain"]["model"],
    "pretraining": {"steps": 4, "rows": 2, "length": 16},
    "variants": {"default": {}},
}
# What each verb works on, and the folders that its options name, each called as the option is.
PAIR = (("run/model/aa", "run/model/bb"), ("data",))
INPUTS = {
    "data derive": (("data",), ()),
    "data prepare": (("data",), ()),
    "vocabulary": (("data",), ()),
    "tokens": (("data",), ("vocabulary",)),
    "pretrain": (("tokens",), ("vocabulary",)),
    "probe": (("run/model",), ("data",)),
    "audit": (("run/model",), ("data",)),
    "transfer": (("run/model",), ("data",)),
    "similarity": PAIR,
    **{f"align {what}": PAIR for what in ("words", "sentences", "context", "export")},
}


def command(verb: str, root: Path, out: str | Path) -> list[str]:
    """Return a verb and its arguments, with its inputs in ``root``."""
    settings = str(root / "settings" / f"{verb.replace(' ', '-')}.yaml")
    if verb == "report":
        return [verb, str(out)]
    workers = ["--workers", "1"] if verb in ("data conlang", "data prepare", "tokens") else []
    if verb in ("data conlang", "data hub"):
        return [*verb.split(), settings, "--out", str(out), *workers]
    arguments, options = INPUTS[verb]
    words = [*verb.split(), *(str(root / name) for name in arguments), *workers]
    for name in options:
        words += [f"--{name}", str(root / name)]
    return [*words, "--out", str(out), "--config", settings]


class Ended(NamedTuple):
    """How a command ended: its exit status (or signal, negative), what it said, operations."""

    status: int
    said: str
    operations: int


@dataclass
class Zygote:
    """Runs commands in children that need not import anything."""

    process: "subprocess.Popen[str]"
    log: Path

    def run(
        self,
        folder: Path,
        verb: list[str],
        how: str | None = None,
        at: int = 0,
        seconds: int = 0,
        copies: Path | None = None,
    ) -> Ended:
        """Run a command in ``folder``, killed or without room at operation ``at`` below it.

        One that takes more than so many ``seconds`` is ended, if there are any. With ``"copy"``
        the folder is copied to ``copies`` before each operation, under its number.
        """
        counted = Path(f"{self.log}.count")
        counted.unlink(missing_ok=True)
        request = {"folder": str(folder), "verb": verb, "how": how, "at": at}
        request |= {"log": str(self.log), "seconds": seconds, "copies": str(copies or "")}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        status = json.loads(self.process.stdout.readline())
        operations = int(counted.read_text()) if counted.exists() else 0
        return Ended(status, self.log.read_text(errors="replace"), operations)


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    script = Path(__file__).with_name("zygote.py")
    threads = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads, "NO_COLOR": "1", "COLUMNS": "1000"},
    )
    yield Zygote(process, tmp_path_factory.mktemp("zygote") / "log")
    process.stdin.close()
    process.wait()


@pytest.fixture(scope="session")
def tiny(zygote, tmp_path_factory) -> Path:
    """A folder with the inputs of every verb, made by the verbs before it."""
    root = tmp_path_factory.mktemp("tiny")
    (root / "settings").mkdir()
    for verb, content in SETTINGS.items():
        path = root / "settings" / f"{verb.replace(' ', '-')}.yaml"
        text = yaml.safe_dump(content).replace("./rows", str(root / "settings" / "rows"))
        path.write_text(text)
    write_rows(root / "settings" / "rows")
    places = {"data conlang": "data", "vocabulary": "vocabulary", "tokens": "tokens"}
    for verb, place in {**places, "pretrain": "run"}.items():
        ended = zygote.run(root, command(verb, root, root / place))
        assert ended.status == 0, ended.said
    return root


@pytest.fixture(scope="session")
def study(tiny, zygote, tmp_path_factory) -> Path:
    """The folder of a study whose only probe is done."""
    root = tmp_path_factory.mktemp("study")
    (root / "study.yaml").write_text(yaml.safe_dump(STUDY))
    words = ["study", "run", "study.yaml", "--data", str(tiny / "data"), "--out", "study"]
    ended = zygote.run(root, [*words, "--dry-run"])
    assert ended.status == 0, ended.said
    plan = json.loads((root / "study" / "plan.json").read_text())
    for job in plan["runs"][0]["scores"]:
        ended = zygote.run(root, command("probe", tiny, root / "study" / job))
        assert ended.status == 0, ended.said
    return root / "study"


def write_rows(folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for language in LANGUAGES:
        rows = [f"{language}{n % 7} {language}{n % 5} sentence number {n} ." for n in range(20)]
        said = [f"they said that {row}" for row in rows]
        pq.write_table(pa.table({"text": rows, "said": said}), folder / f"{language}.parquet")


@pytest.fixture(scope="session", name="command")
def command_fixture() -> Callable[[str, Path, str | Path], list[str]]:
    return command
