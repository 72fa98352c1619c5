"""Memory back to the system between the stages of a run."""

import ctypes
import gc


def release_memory() -> None:
    """Give back what the C library keeps of freed memory: with glibc, which has a call for it; elsewhere nothing."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
