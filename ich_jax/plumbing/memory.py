"""How the memory of large arrays is handled, where it can be told (glibc, so Linux)."""

import ctypes

MMAP_THRESHOLD, TOP_PAD, TRIM_THRESHOLD = -3, -2, -1  # mallopt's numbers for them, malloc.h
KEPT_BYTES, ASKED_BYTES = 2**30, 2**26


def keep_memory() -> None:
    """Let this process keep up to a gigabyte of freed memory for its next arrays, and ask for 64 MiB at a time.

    glibc gives the memory of every large array back to the kernel and asks for it again, page by page: where many are
    made, that can take longer than to fill them. Does nothing where there is no glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):  # Windows, macOS
        return
    mallopt(MMAP_THRESHOLD, KEPT_BYTES)
    mallopt(TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(TOP_PAD, ASKED_BYTES)
