"""Progress bars where somebody watches them, and where nobody does."""

import pytest

from snippetkit.utils.progress import progress


@pytest.mark.parametrize("session, seconds", [("Interactive", 1), ("Batch", 60), ("", 1)])
def test_a_batch_session_shows_its_progress_once_a_minute(monkeypatch, session, seconds):
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", session)
    with progress(total=3, title="clips", unit="clip") as bar:
        assert bar.mininterval == seconds
