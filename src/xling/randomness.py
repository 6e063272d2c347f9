"""Random draws as pure functions of (seed, purpose, numbers).

No draw depends on global state, on the number of processes or on how often a
run was interrupted: whoever asks for the same triple gets the same generator.
"""

import hashlib

import numpy as np


def derive_seed(seed: int, purpose: str, *numbers: int) -> int:
    """Return a 128-bit seed that is a pure function of its arguments.

    Args:
        seed: The seed the user chose.
        purpose: What the draws are for, e.g. ``"mask"``; keeps uses independent.
        numbers: Further coordinates, e.g. a step or a document number.
    """
    text = ":".join([str(seed), purpose, *(str(number) for number in numbers)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")


def generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return a fresh Philox generator for one (seed, purpose, numbers).

    Example:
        >>> generator(1, "mask", 7).integers(1000) == generator(1, "mask", 7).integers(1000)
        True
    """
    return np.random.Generator(np.random.Philox(key=derive_seed(seed, purpose, *numbers)))
