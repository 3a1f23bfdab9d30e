"""Root may read every folder; tests of folders that cannot be read give that right up for a moment."""

import ctypes
import os
from contextlib import contextmanager

_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2    # capabilities of Linux


@contextmanager
def obeying_permissions():
    """Make permissions hold inside the block for this thread, for root too."""
    libc, header, sets = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, sets)
    effective = sets[0]
    sets[0] &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        libc.capset(header, sets)


@contextmanager
def unreadable(path):
    """Take all permissions from a file or folder inside the block."""
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        with obeying_permissions():
            assert not os.access(path, os.R_OK, effective_ids=True)
            yield
    finally:
        path.chmod(mode)
