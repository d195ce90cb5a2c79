import platform
import subprocess
import sys

from tests.conftest import ROOT

FAULTS = """
import resource, sys
import numpy as np
from ich_jax.plumbing.memory import keep_memory
if sys.argv[1:]:
    keep_memory()
np.ones(2**25, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    np.ones(2**25, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_memory_is_asked_for_once():
    """Counted in pages that the kernel had to give; without glibc both are alike."""
    asked, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, *more], cwd=ROOT, capture_output=True, check=True).stdout)
        for more in ([], ["keep"])
    )
    assert kept <= asked
    if platform.libc_ver()[0] == "glibc":
        assert kept < asked / 4
