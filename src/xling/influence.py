"""How much each test item moves a score, from which paired differences of scores are judged.

A score is a function of N test items. Its *influence values* d [N] say, to first order, how it
depends on each: resample the items, and the score moves by the mean of d over those drawn. For a
mean of hits they are ``hits - hits.mean()``. Two models tested on the same items have a paired
difference whose influence values are the difference of theirs, so the items' part of its variance
is ``var(d) / N``, however the two correlate (Efron and Tibshirani 1993, chapters 11 and 21).

Stages keep them beside their scores, in ``influence.safetensors``.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xling.bootstrap import Counts
from xling.errors import XlingError
from xling.files import atomic_file
from xling.results import KEY, Key, unpacked_name

INFLUENCE = "influence.safetensors"
Floats = NDArray[np.float64]


def of_mean(hits: NDArray[np.generic]) -> Floats:
    """Influence values of a mean of per-item scores [N].

    Example:
        >>> of_mean(np.array([1.0, 0.0, 1.0, 1.0])).tolist()
        [0.25, -0.75, 0.25, 0.25]
    """
    return np.asarray(hits - hits.mean(), dtype=np.float64)


def of_statistic(counts: Counts, statistic: Callable[[Counts], NDArray[np.float64]]) -> Floats:
    """Influence values of a score of sums over items, by leaving each item out (the jackknife).

    Args:
        counts: Array [N, ...] of what each item contributes.
        statistic: Maps sums [R, ...] to R scores.

    Returns:
        Array [N], of mean zero.

    Example:
        Precision of two sentences with 3 of 4 and 1 of 4 right:

        >>> of_statistic(np.array([[3, 4], [1, 4]]), lambda sums: sums[:, 0] / sums[:, 1])
        array([ 0.25, -0.25])
    """
    without = np.asarray(statistic(counts.sum(axis=0) - counts), dtype=np.float64)
    return np.asarray((len(counts) - 1) * (without.mean() - without))


def of_separate_sets(parts: Sequence[Floats]) -> Floats:
    """Influence values of a sum of scores that were measured on different test items.

    Args:
        parts: For each score the values of its N_k items.

    Returns:
        Array [sum of N_k].

    Example:
        >>> of_separate_sets([np.array([1.0, -1.0]), np.array([0.0])]).tolist()
        [1.5, -1.5, 0.0]
    """
    whole = sum(map(len, parts))
    return np.concatenate([part * (whole / max(1, len(part))) for part in parts])


def of_sum(parts: Sequence[Floats]) -> Floats:
    """Influence values of a sum of scores; sets of the same size are taken for the same items.

    Sets of different sizes are different items. If sets of one size are different items after all,
    row i of one is paired with an unrelated row of the other, which adds noise to the variance
    but no bias.
    """
    sizes: dict[int, Floats] = {}
    for part in parts:
        sizes[len(part)] = sizes[len(part)] + part if len(part) in sizes else part
    found = list(sizes.values())
    return found[0] if len(found) == 1 else of_separate_sets(found)


def mean_of(found: Sequence[Floats | None]) -> Floats | None:
    """Influence values of a mean of scores of the same items.

    Scores without values are left out: those of the others stand for them. None if no score has
    values, or if their numbers of items differ.
    """
    known = [values for values in found if values is not None]
    if not known or len({len(values) for values in known}) > 1:
        return None
    return np.asarray(np.mean(known, axis=0))


def over_draws(found: Sequence[Mapping[Key, Floats]]) -> dict[Key, Floats]:
    """Influence values of the means over several untrained models, tested on the same items."""
    return {
        key: np.asarray(np.mean([values[key] for values in found], axis=0))
        for key in (found[0] if found else ())
    }


def write_influence(folder: Path, values: Mapping[Key, NDArray[np.generic]]) -> None:
    """Write influence values beside the scores they belong to; write nothing if there are none."""
    from safetensors.numpy import save

    if not values:
        return
    arrays = {json.dumps([*key]): np.asarray(found, np.float32) for key, found in values.items()}
    with atomic_file(folder / INFLUENCE, "wb") as file:
        file.write(save(arrays))


def read_influence(folders: Iterable[Path]) -> dict[Key, Floats]:
    """Read the influence values of finished jobs; a folder without them adds none.

    Raises:
        XlingError: a file that is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    found: dict[Key, Floats] = {}
    for folder in folders:
        path = folder / INFLUENCE
        if not path.is_file():
            continue
        try:
            arrays = load_file(path)
        except (SafetensorError, OSError) as error:
            raise _damaged(path, str(error)) from None
        for name, values in arrays.items():
            found[_key(path, name)] = values.astype(np.float64)
    return found


def _key(path: Path, name: str) -> Key:
    try:
        found = json.loads(name)
        if len(found) == len(KEY):
            return Key(*found)
        # As an earlier version wrote it, with the condition in the metric's name.
        probe, dataset, language, layer, packed = found
        condition, draw, metric = unpacked_name(packed)
    except (ValueError, TypeError, AttributeError):
        raise _damaged(path, f"{name!r} names no score") from None
    return Key(probe, dataset, language, "", layer, condition, draw, metric)


def _damaged(path: Path, why: str) -> XlingError:
    return XlingError(f"{path}: damaged ({why}); delete {path.parent} and run its study again")
