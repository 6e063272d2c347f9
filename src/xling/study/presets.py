"""The named variants: ``presets.yaml`` is the table of the paper's conditions and related ones."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files

from xling.errors import XlingError
from xling.files import read_yaml

DEFAULT = "default"


@cache
def presets() -> Mapping[str, Mapping[str, object]]:
    """Return every preset: name to what differs from a study's own settings."""
    with as_file(files("xling.study") / "presets.yaml") as path:
        table: Mapping[str, Mapping[str, object]] = read_yaml(path)
    return table


def layers_of_changes(name: str, written: Mapping[str, object]) -> tuple[Mapping[str, object], ...]:
    """Return what a variant of a study file changes, in the order in which changes apply.

    ===============================  ===================================================
    ``NAME: {}`` or in a list        the preset NAME
    ``NAME: {preset: P, ...}``       the preset P with further changes, under a new name
    ``NAME: {...}``                  changes to the study's settings, no preset
    ===============================  ===================================================

    Args:
        name: The variant's name.
        written: What stands under it.

    Raises:
        XlingError: An unknown preset, or changes under a preset's name that do not say whether
            they change that preset.
    """
    changes = {key: value for key, value in written.items() if key != "preset"}
    if "preset" in written or not changes:
        return _preset(name, written.get("preset", name)), changes
    if name in presets() and name != DEFAULT:
        raise XlingError(
            f"variants.{name}: is the name of a preset, but has settings of its own; add "
            f"`preset: {name}` to change that preset, or choose another name"
        )
    return (changes,)


def _preset(name: str, preset: object) -> Mapping[str, object]:
    if not isinstance(preset, str) or preset not in presets():
        raise XlingError(
            f"variants.{name}: no preset {preset!r}; the presets are {', '.join(presets())}"
        )
    return presets()[preset]
