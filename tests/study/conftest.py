"""A data folder of two languages and a study of it, both as small as they can be."""

from pathlib import Path

import pytest
import yaml

from xling.randomness import generator

ENDINGS = {"en": "ing", "fr": "eau"}
STEMS = [a + b + c for a in "bdgkl" for b in "aeo" for c in "mnrs"]


def write_lines(path: Path, language: str, count: int, draw: int) -> None:
    """Write sentences of eight stems; equal draws say the same in every language."""
    rows = generator(1, "sentences", draw).integers(len(STEMS), size=(count, 8))
    # A third of the words are the same in both languages.
    words = [stem + (ENDINGS[language] if i % 3 else "") for i, stem in enumerate(STEMS)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(" ".join(words[i] for i in row) + " .\n" for row in rows))


def write_data(folder: Path, languages: dict[str, int]) -> Path:
    """Write text of each language from its own draw, and parallel lines."""
    for language, draw in languages.items():
        write_lines(folder / "text" / "wiki" / f"{language}.txt", language, 400, draw)
        write_lines(folder / "parallel" / "held-out" / f"{language}.txt", language, 60, 0)
    return folder


def settings() -> dict:
    """Return the study's settings, new each time."""
    return {
        "name": "tiny",
        "pairs": ["en-fr"],
        "text": ["wiki"],
        "vocabulary": {"kind": "joint", "size": 120},
        "tokens": {"dev_share": 0.1},
        "model": {
            "layers": 2,
            "heads": 2,
            "hidden": 16,
            "feed_forward": 32,
            "dropout": 0.0,
            "max_length": 32,
        },
        "pretraining": {
            "steps": 150,
            "precision": "fp32",  # quicker for so small a model, and the same on any machine
            "rows": 4,
            "length": 32,
            "evaluate_every": 50,
            "checkpoint_every": 10,
            "log_every": 10,
            "optimizer": {"name": "adamw", "learning_rate": 0.001, "warmup_steps": 2},
        },
        "probe": {"random_seeds": [1], "resamples": 20},
        "variants": {
            "default": {},
            "no-anchors": {"preset": "no-anchors", "vocabulary": {"size": 160}},
        },
    }


@pytest.fixture(scope="session")
def make_lines():
    """Return :func:`write_lines`."""
    return write_lines


@pytest.fixture(scope="session")
def make_data():
    """Return :func:`write_data`."""
    return write_data


@pytest.fixture(scope="session")
def make_study():
    """Return a function that writes the study to a path with changes to its settings."""

    def write(path: Path, **changes) -> Path:
        content = settings()
        for key, value in changes.items():
            below = content.get(key)
            merge = key not in ("text", "variants") and isinstance(below, dict)
            content[key] = {**below, **value} if merge else value
        path.write_text(yaml.safe_dump(content))
        return path

    return write


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"), {"en": 1, "fr": 2})


@pytest.fixture
def study_file(tmp_path, make_study):
    """Return a function that writes the study with changes to its settings."""
    return lambda **changes: make_study(tmp_path / "tiny.yaml", **changes)
