"""Two audits side by side: what changed in every language, and whether it is more than chance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from xling import formatting
from xling.audit.result import Audit
from xling.errors import XlingError
from xling.influence import Floats
from xling.names import as_name, pair_name
from xling.results import Key

_NORMAL = 1.959964  # the 97.5 % point of the normal distribution
Side = tuple[Path, Audit, Mapping[str, Any]]


def compare_audits(a: Path, b: Path) -> list[str]:
    """Compare two audits language by language, each model at its best layer.

    Where both were measured on the same lines, their difference is paired line by line.

    Args:
        a: ``audit.json`` of the first, or its folder.
        b: That of the second.

    Returns:
        Lines to print: for each language p@1 of both, the difference with its 95 % interval, and
        ``better``, ``worse`` or ``unclear``.

    Raises:
        XlingError: no audit there, or nothing in common.
    """
    folders = [path if path.is_dir() else path.parent for path in (a, b)]
    audits = [Audit.load(folder) for folder in folders]
    said = []
    for first, second in _pairs(audits[0], audits[1]):
        sides = tuple(zip(folders, audits, (first, second), strict=True))
        rows = list(_rows(sides[0], sides[1]))
        if rows:
            said.append(f"{first['name']} (a) and {second['name']} (b), p@1 at their best layers")
            head = ("language", "a", "b", "b - a", "95 % interval", "")
            said.append(formatting.as_columns([head, *rows]))
    if not said:
        raise XlingError(
            f"{a} and {b}: no model and language in common; expected one model in each, or models "
            "of the same name"
        )
    return said


def _pairs(a: Audit, b: Audit) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    models = [found.facts["models"] for found in (a, b)]
    if len(models[0]) == len(models[1]) == 1:
        return [(models[0][0], models[1][0])]
    others = {model["name"]: model for model in models[1]}
    return [(model, others[model["name"]]) for model in models[0] if model["name"] in others]


def _rows(a: Side, b: Side) -> "list[tuple[str, ...]]":
    rows: list[tuple[str, ...]] = []
    same = all(a[1].facts[what] == b[1].facts[what] for what in ("dataset", "lines"))
    influence = [_influence(*side) if same else {} for side in (a, b)]
    for code, first in a[2]["standing"].items():
        second = b[2]["standing"].get(code)
        if second is None:
            continue
        difference = second["value"] - first["value"]
        values = [of.get(_key(side, code)) for of, side in zip(influence, (a, b), strict=True)]
        error = _error(values, first, second)
        low, high = difference - _NORMAL * error, difference + _NORMAL * error
        verdict = "better" if low > 0 else "worse" if high < 0 else "unclear"
        rows.append(
            (
                code,
                f"{first['value']:.3f}",
                f"{second['value']:.3f}",
                f"{difference:+.3f}",
                f"{low:+.3f} to {high:+.3f}",
                verdict,
            )
        )
    return rows


def _influence(folder: Path, found: Audit, model: Mapping[str, Any]) -> Mapping[Key, Floats]:
    from xling.influence import read_influence

    return read_influence([folder / "influence" / as_name(model["name"])])


def _key(side: Side, code: str) -> Key:
    _, found, model = side
    layer = model["layers"].index(model["best layer"])
    language = pair_name((model["languages"][0], code))
    return Key("retrieval", found.facts["dataset"], language, layer=layer, metric=model["metric"])


def _error(
    values: "list[Floats | None]", first: Mapping[str, Any], second: Mapping[str, Any]
) -> float:
    """Return the standard error of a difference, paired where both have the same lines."""
    a, b = values
    if a is not None and b is not None and len(a) == len(b):
        return float(np.sqrt(np.var(b - a) / len(a)))
    widths = [(of["high"] - of["low"]) / (2 * _NORMAL) for of in (first, second)]
    return float(np.hypot(*widths))
