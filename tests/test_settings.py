"""Settings files: what is wrong, by file and key."""

from typing import Self

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from xling.errors import XlingError
from xling.settings import load_settings


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(8, ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    low: int = 1
    high: int = 2
    inner: Inner = Inner()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def load(tmp_path, text):
    (tmp_path / "settings.yaml").write_text(text)
    return load_settings(tmp_path / "settings.yaml", Outer)


def test_good_settings(tmp_path):
    assert load(tmp_path, "name: a\ninner: {size: 3}\n") == Outer(name="a", inner=Inner(size=3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\ncolour: red\n", "colour: unknown setting; check its spelling"),
        ("low: 1\n", "name: missing, and it has no default"),
        (
            "name: a\ninner: {size: 0}\n",
            "inner.size: Input should be greater than or equal to 1 (found 0)",
        ),
        ("name: a\nlow: 3\n", "settings: low is above high"),
        ("name: no\n", 'name: found False, which is not text (quote it: "no")'),
        ("name: on\n", 'name: found True, which is not text (quote it: "yes")'),
        (
            "name: 007\n",
            'name: found 7, which is not text but a number (quote what is written, e.g. "7")',
        ),
        (
            "name: 2024-01-31\n",
            "name: found 2024-01-31, which is not text but a date (quote what is written, e.g. "
            '"2024-01-31")',
        ),
        (
            "name:\n",
            'name: found nothing, which is not text (if that is its name, quote it: "null")',
        ),
        (
            "name: a\nno: 1\n",
            'settings: found the key False, which is not text (quote it: "no")',
        ),
        ("- name\n", "expected a mapping with the keys name, low, high, inner"),
    ],
)
def test_faults(tmp_path, text, message):
    with pytest.raises(XlingError) as caught:
        load(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'settings.yaml'}: {message}"


def test_every_fault_is_named(tmp_path):
    with pytest.raises(XlingError, match=r"name: missing.*inner\.size:.*colour: unknown"):
        load(tmp_path, "inner: {size: none}\ncolour: red\n")


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    a: int = 1
    b: int = 2


class Sectioned(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Section = Section()
    sum: int = 0


def test_an_option_wins_over_the_file_and_the_file_over_a_default(tmp_path):
    def never(_):
        raise AssertionError("a default is not asked for if the setting is given")

    path = tmp_path / "settings.yaml"
    path.write_text("part: {a: 5, b: 6}\n")
    found = load_settings(path, Sectioned, {"part": never}, **{"part.b": 7, "part.a": None})
    assert (found.part.a, found.part.b, found.sum) == (5, 7, 0)
    found = load_settings(
        None, Sectioned, {"part": lambda _: {"a": 3}, "sum": lambda g: g["part"]["a"]}
    )
    assert (found.part.a, found.part.b, found.sum) == (3, 2, 3)
    found = load_settings(path, Sectioned, sum=lambda given: sum(given["part"].values()))
    assert found.sum == 11
    given = {"part": {"a": 5}}
    assert load_settings(given, Sectioned, **{"part.b": 7}).part.b == 7
    assert given == {"part": {"a": 5}}  # what is handed in stays as it is
    path.write_text("part: 5\n")
    with pytest.raises(XlingError, match="part: found 5"):
        load_settings(path, Sectioned, **{"part.b": 7})
