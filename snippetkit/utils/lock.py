"""Locks that let one process at a time work in a folder, and the handling of interrupts (Ctrl-C, the stop button).

The operating system holds the lock and releases it when the process ends, even if the process was killed. (On the rare
file system without locks, filelock uses a file, which a killed process leaves behind.)
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

_TIMEOUT = 5    # seconds; the kernel of a run that was killed ends within one or two


@contextmanager
def lock_folder(folder, task):
    """Hold the lock of a folder during the block.

    Parameters
    ----------
    folder : path-like
        Created if necessary.
    task : str
        For messages, such as 'training'.

    Raises
    ------
    KitError
        If another process holds the lock (the message says which), or the folder cannot be written to.
    """
    folder = Path(folder)
    lock, note = FileLock(folder / ".lock"), folder / ".lock.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=_TIMEOUT)
    except Timeout:
        holder = read_json(note)
        who = "process {process} on {host} ({task} since {since})".format(**holder) if holder else "another process"
        raise KitError(f"{folder} is in use by {who}. Wait for it, stop it, or choose another output folder.") from None
    except NotImplementedError:     # raised by older versions of filelock
        say(f"{folder} is on a file system without locks. Make sure that only one run uses it.")
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
        Returns a text that says how much is done.

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
    """Delay an interrupt until the block ends: a module whose import was interrupted cannot be imported again.

    Only the main thread receives interrupts; in other threads the block just runs.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupts = []
    handler = signal.signal(signal.SIGINT, lambda *_: interrupts.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupts:
        signal.raise_signal(signal.SIGINT)
