"""One process at a time in a folder of results, and what happens when the person at the keyboard stops it.

The lock is the system's own: it goes with the process that holds it, however that ends. (On the rare file system that
has none, filelock makes do with a file, which a killed process leaves behind.)
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
def held(folder, task):
    """Hold a folder while something is made in it.

    Parameters
    ----------
    folder : path-like
        Made if need be.
    task : str
        What is done, for the sentences: 'training'.

    Raises
    ------
    KitError
        If another process holds the folder (the text says which), or the disk refuses.
    """
    folder = Path(folder)
    lock, note = FileLock(folder / ".lock"), folder / ".lock.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        raise KitError(_refusal(folder, read_json(note) or {})) from None
    except NotImplementedError:  # of older versions of filelock
        say(f"{folder} lies on a file system without locks: make sure yourself that only one run works there")
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
def at_work(folder, task, *, so_far=None):
    """Hold a folder as `held` does; an interrupt becomes a sentence.

    Parameters
    ----------
    folder, task
        As in `held`.
    so_far : callable or None
        Gives a text that says how far the task got, for the sentence after an interrupt.

    Raises
    ------
    KitError
        As `held` does.
    Stopped
        If the task was interrupted.
    """
    with held(folder, task):
        try:
            yield
        except KeyboardInterrupt:
            reached = f": {so_far()}" if so_far else ""
            raise Stopped(f"{task} was stopped{reached}; what was saved is kept: run again to go on.") from None


@contextmanager
def undisturbed():
    """Hear an interrupt only when the block is over: an import cut in two leaves modules that nobody can import again.

    Outside the main thread, where no interrupt is heard, the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        signal.raise_signal(signal.SIGINT)


def _refusal(folder, holder):
    who = "another process"
    if holder:
        who = f"process {holder['process']} on {holder['host']} ({holder['task']} since {holder['since']})"
    return (
        f"{folder} is in use by {who}. Wait for it or stop it, or choose another output folder; "
        "two at once would write over each other's work."
    )
