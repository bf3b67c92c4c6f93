"""Waiting for what other threads and processes do."""

import time

PATIENCE_S = 120.0
"""A guard against hanging: what has not come by then never will, on a slow and busy machine either."""


def until(is_so, seconds=PATIENCE_S):
    """Waits for `is_so()` to be true, and gives what it gave."""
    end = time.monotonic() + seconds
    while not (told := is_so()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)
    return told
