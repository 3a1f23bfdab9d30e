"""Folder locks between processes, and interrupts."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from snippetkit.utils import lock
from snippetkit.utils.errors import KitError, Stopped
from snippetkit.utils.lock import deferred_interrupt, exclusive_task

HOLD = """
import sys, time
from snippetkit.utils.lock import exclusive_task
with exclusive_task(sys.argv[1], "training"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(tmp_path):
    """A process that holds the lock of `tmp_path`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_message_names_the_process_that_holds_the_lock(held, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_TIMEOUT", 0.1)
    message = rf"is in use by process {held.pid} on .* \(training since 20.*Wait for it"
    with pytest.raises(KitError, match=message), exclusive_task(tmp_path, "a run"):
        pytest.fail("two processes hold the lock")


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM])
def test_lock_is_awaited_for_some_seconds_and_a_killed_process_releases_it(held, tmp_path, kill):
    start = time.monotonic()
    threading.Timer(1, held.send_signal, [kill]).start()
    with exclusive_task(tmp_path, "a run"):
        assert 0.5 < time.monotonic() - start < 5
        assert f'"process": {os.getpid()}' in (tmp_path / ".lock.json").read_text()
    assert not (tmp_path / ".lock.json").exists()


def test_interrupt_becomes_a_message_and_releases_the_lock(tmp_path):
    message = r"stopped \(1 of 2 done\). What was saved is kept: run again to continue"
    with pytest.raises(Stopped, match=message), exclusive_task(tmp_path, "training", so_far=lambda: "1 of 2 done"):
        raise KeyboardInterrupt
    with pytest.raises(KitError, match="a fault"), exclusive_task(tmp_path, "training"):
        raise KitError("a fault")


def test_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(KitError, match="file cannot be written to"), exclusive_task(tmp_path / "file", "training"):
        pass


def test_interrupt_is_deferred_to_the_end_of_the_block():
    handler, steps = signal.signal(signal.SIGINT, signal.default_int_handler), []
    try:
        with pytest.raises(KeyboardInterrupt), deferred_interrupt():
            signal.raise_signal(signal.SIGINT)
            steps.append("done")
    finally:
        signal.signal(signal.SIGINT, handler)
    assert steps == ["done"]


# Runs a task twice and interrupts the first run while it imports a package.
INTERRUPT = """
import os, signal, sys
from types import SimpleNamespace
from snippetkit.recipe import Recipe

imports, task, package, module = sys.argv[1:]

class Interrupter:
    def find_spec(self, name, path=None, target=None):
        if name == f"{package}.{module}":
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

exec(imports)
signal.signal(signal.SIGINT, signal.default_int_handler)    # the process that runs the tests may ignore it
sys.meta_path.insert(0, Interrupter())
for attempt in range(2):
    try:
        eval(task)
        print("done")
    except BaseException as error:
        print(type(error).__name__, package in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("imports, task, package, module, first, second", [
    ("from snippetkit.training.checkpoint import new_state; from snippetkit.utils.hardware import Device",
     "new_state({}, Recipe(model='cnn3'), seed=0, batches=1, classes=4, device=Device('cpu', '', 'fp32'))",
     "sympy", "series", "KeyboardInterrupt", "done"),
    ("from snippetkit.training.ensemble import train_ensemble",
     "train_ensemble('members', Recipe(members=1), SimpleNamespace(classes=4, fingerprint=repr))",
     "torch", "nn", "Stopped", "AttributeError True"),    # the data that it was given has no more
    ("from snippetkit.vocals.separation import open_backend",
     "open_backend('torch', 'no-such-folder').__enter__()", "torch", "nn", "KeyboardInterrupt", "KitError True"),
])
def test_task_that_was_interrupted_during_an_import_can_be_run_again(
    imports, task, package, module, first, second, tmp_path
):
    command = [sys.executable, "-c", INTERRUPT, imports, task, package, module]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert result.stdout.splitlines() == [f"{first} True", second], result.stderr
