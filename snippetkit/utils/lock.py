"""One process at a time in a folder of results, and what an interrupt (Ctrl-C, the stop button) does there.

The lock is the operating system's: it ends with the process that holds it, however that ends. (On the rare file system
without locks, filelock uses a file, which a killed process leaves behind.)
"""

import os
import signal
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from .errors import KitError, Stopped
from .progress import say
from .storage import read_json, write_json

# Seconds to wait for the lock: a kernel whose run was killed notices it within one or two.
_PATIENCE = 5


@contextmanager
def lock_folder(folder, task):
    """Hold the lock of a folder during the block.

    Parameters
    ----------
    folder : path-like
        Created if necessary.
    task : str
        What is done, for messages: 'training'.

    Raises
    ------
    KitError
        If another process holds the lock (the message says which), or the disk refuses.
    """
    folder = Path(folder)
    lock, note = FileLock(folder / ".lock"), folder / ".lock.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise KitError(_refusal(folder, read_json(note) or {})) from None
    except NotImplementedError:  # of older versions of filelock
        say(f"{folder} is on a file system without locks: make sure that only one run works there")
    except OSError as error:
        raise KitError(f"{folder} cannot be written to: {error.strerror or error}.") from error
    try:
        write_json(note, {
            "task": task, "process": os.getpid(), "host": socket.gethostname(), "since": time.strftime("%F %T"),
        })
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


@contextmanager
def exclusive_task(folder, task, *, so_far=None):
    """Hold the lock of a folder, and turn an interrupt into a message.

    Parameters
    ----------
    folder, task
        As in `lock_folder`.
    so_far : callable or None
        Returns a text that says how far the task got.

    Raises
    ------
    KitError
        As `lock_folder`.
    Stopped
        If the task was interrupted.
    """
    with lock_folder(folder, task):
        try:
            yield
        except KeyboardInterrupt:
            reached = f" ({so_far()})" if so_far else ""
            raise Stopped(f"{task} was stopped{reached}. What was saved is kept: run again to continue.") from None


@contextmanager
def deferred_interrupt():
    """Delay an interrupt until the block ends: a module whose import is interrupted cannot be imported again.

    Outside the main thread, which alone receives interrupts, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts = []
    before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupts:
        signal.raise_signal(signal.SIGINT)


def _refusal(folder, holder):
    who = "another process"
    if holder:
        who = f"process {holder['process']} on {holder['host']} ({holder['task']} since {holder['since']})"
    return f"{folder} is in use by {who}. Wait for it, stop it, or choose another output folder."
