"""Freed memory stays with the process, and only where glibc is."""

import platform
import subprocess
import sys

import pytest

from xling import allocator

# Frees 100 MB and asks for it again ten times; says how many pages the kernel had to give.
TOUCH = """
import resource, sys
import numpy as np
if sys.argv[1] == "kept":
    from xling.allocator import keep_freed_memory
    assert keep_freed_memory()
np.ones(100 << 20, dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(100 << 20, dtype=np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps memory on request")
def test_a_block_that_was_freed_is_not_asked_for_again():
    def faults(how):
        done = subprocess.run(
            [sys.executable, "-c", TOUCH, how], capture_output=True, text=True, check=True
        )
        return int(done.stdout)

    assert faults("kept") * 10 < faults("default")


def test_other_systems_are_left_alone(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
