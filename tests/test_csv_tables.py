"""Tables come back as they were written, and spreadsheets find no formula in them."""

import csv
import io
import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xling.csv_tables import plain_cell, read_table, rows_as_csv, safe_cell, write_table
from xling.errors import XlingError

NAMES = [
    "nan",
    "NA",
    "null",
    "None",
    "007",
    "1e5",
    "true",
    "no",
    "",
    "-",
    "inf",
    "a,b",
    'q"',
    "#N/A",
]
FORMULAS = ["=1+1", "+A1", "-A1", "@x", "\t=1", "\r=1", "'=1", "''@x", "=cmd|' /C calc'!A0"]
texts = st.text(st.sampled_from("=+-@'\t\r\na1,. \""), max_size=6)


def written(frame, path):
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        write_table(frame, file)
    return path


@given(texts)
def test_cells_come_back(text):
    cell = safe_cell(text)
    assert plain_cell(cell) == text
    assert not cell.startswith(tuple("=+-@\t\r")) or float(cell) is not None


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_made_text(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["-0.5", "+1", "-1e-05", "-.5", "3.", "fr", "'tis", "x=1", "", "–"]
)
def test_numbers_and_other_text_stay(text):
    assert safe_cell(text) == text


def test_names_are_names_whatever_they_look_like(tmp_path):
    frame = pd.DataFrame({"name": NAMES + FORMULAS, "other": (FORMULAS + NAMES), "n": 1})
    found = read_table(written(frame, tmp_path / "t.csv"))
    assert found["name"].tolist() == frame["name"].tolist()
    assert found["other"].tolist() == frame["other"].tolist()


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=5))
def test_rows_come_back(rows):
    found = [*csv.reader(io.StringIO(rows_as_csv(rows), newline=""))]
    assert [tuple(map(plain_cell, row)) for row in found] == rows


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=9))
def test_numbers_come_back_to_the_last_bit(tmp_path_factory, numbers):
    path = tmp_path_factory.mktemp("numbers") / "t.csv"
    frame = pd.DataFrame({"layer": pd.array([1] * len(numbers), "Int64"), "value": numbers})
    found = read_table(written(frame, path), {"layer": "Int64", "value": "float64"})
    for value, number in zip(found["value"], numbers, strict=True):
        assert value == number or (math.isnan(value) and math.isnan(number))


def test_tables_of_names_and_numbers_are_written_as_pandas_writes_them(tmp_path):
    frame = pd.DataFrame(
        {
            "name": ["p@1", "en>fr", "en-fr"],
            "layer": pd.array([1, None, 3], "Int64"),
            "value": [-0.5, 1e-7, float("nan")],
            "chosen": [True, False, True],
        }
    )
    assert written(frame, tmp_path / "t.csv").read_text() == frame.to_csv(index=False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,layer\nx,1\ny,z\n", r":3: layer is 'z', expected a whole number"),
        ("a,layer\nx,1.5\n", r":2: layer is '1\.5', expected a whole number"),
        ("a,value\nx,high\n", r":2: value is 'high', expected a number"),
        ("", "not a readable CSV file"),
        ('a,b\n"x,1\n', "not a readable CSV file"),
    ],
)
def test_faults_name_the_file_and_the_line(tmp_path, text, said):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(XlingError, match=rf"t\.csv.*{said}") as caught:
        read_table(path, {"layer": "Int64", "value": "float64"})
    assert "\n" not in str(caught.value)


def test_empty_cells_are_missing_numbers(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,layer,value\nx,,\ny,2.0,nan\n")
    found = read_table(path, {"layer": "Int64", "value": "float64"})
    assert found["layer"].tolist() == [pd.NA, 2]
    assert found["value"].isna().all()
