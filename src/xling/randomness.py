"""Random draws as pure functions of (seed, purpose, numbers).

No draw depends on global state, on the number of processes or on how often a
run was interrupted: whoever asks for the same triple gets the same generator.
"""

import hashlib

import numpy as np

_ROUNDS = 4


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


def permuted(positions: np.ndarray, n: int, key: int) -> np.ndarray:
    """Return what a pseudo-random permutation of ``range(n)`` holds at ``positions``.

    A Feistel network over the smallest even number of bits that covers n, walked along
    its cycle until the value is below n (Black and Rogaway, 2002). A shuffled index would
    grow with the corpus; this costs a few multiplications per element.

    Args:
        positions: Integers in ``[0, n)``, any shape.
        n: Size of the permutation, below 2**62.
        key: Which permutation.

    Example:
        >>> sorted(permuted(np.arange(5), 5, key=3).tolist())
        [0, 1, 2, 3, 4]
    """
    half_bits = max(1, ((n - 1).bit_length() + 1) // 2)
    values = _feistel(np.asarray(positions, dtype=np.uint64), half_bits, key)
    while (outside := values >= n).any():
        values[outside] = _feistel(values[outside], half_bits, key)
    return values.astype(np.int64)


def _feistel(values: np.ndarray, half_bits: int, key: int) -> np.ndarray:
    mask = np.uint64((1 << half_bits) - 1)
    shift = np.uint64(half_bits)
    left, right = values >> shift, values & mask
    for round_number in range(_ROUNDS):
        salt = np.uint64((key + 0x9E3779B97F4A7C15 * (round_number + 1)) % 2**64)
        left, right = right, left ^ (_mixed(right ^ salt) & mask)
    return (left << shift) | right


def _mixed(values: np.ndarray) -> np.ndarray:
    """Mix the bits of 64-bit integers (the finaliser of MurmurHash3)."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return np.asarray(values ^ (values >> np.uint64(33)))
