"""Keep freed memory in the process, so that the kernel need not clear it again.

A training step allocates and frees the same large blocks again and again. By default glibc returns
each to the kernel at once and asks for it again, and the kernel fills it with zeros each time,
which can take as long as the arithmetic. No result changes.
"""

import sys
from contextlib import suppress

# Names in malloc.h, and limits in bytes.
_TRIM_THRESHOLD, _KEPT_AT_THE_TOP = -1, (1 << 31) - 1
_TOP_PAD, _ASKED_FOR_AT_ONCE = -2, 1 << 26
_MMAP_THRESHOLD, _LARGEST_KEPT = -3, 1 << 30


def keep_freed_memory() -> bool:
    """Let glibc keep freed blocks of up to 1 GiB for the next allocation.

    Returns:
        Whether it does; False where there is no glibc (macOS, Windows, musl).
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - musl has mallopt too, which does nothing
        settings = (
            (_MMAP_THRESHOLD, _LARGEST_KEPT),
            (_TRIM_THRESHOLD, _KEPT_AT_THE_TOP),
            (_TOP_PAD, _ASKED_FOR_AT_ONCE),
        )
        return all(library.mallopt(name, value) == 1 for name, value in settings)
    return False
