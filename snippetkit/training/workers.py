"""Training several members at once, each in a process of its own, so that one that dies does not stop the others.

(joblib stops all its processes when one of them dies, and cannot say which one it was.)
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from ..utils.errors import KitError
from ..utils.progress import progress, say
from .members import member_folder, read_histories

_POLL_SECONDS = 0.5
_LAST_LINES = 5
_LOG = "worker.log"
_FAULT, _OUT_OF_TIME = 1, 3     # exit statuses


def train_side_by_side(folder, members, recipe, data, devices, clock):
    """Train members, as many at a time as there are devices.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder. Output of a process goes to ``worker.log`` in its member's folder.
    members : list of int
    recipe : Recipe
    data : TrainingData
    devices : list of Device
        The same device may occur twice.
    clock : Clock

    Raises
    ------
    KitError
        If all processes failed. If only some did, the last lines of each are printed.
    """
    waiting, running, failed = list(members), {}, {}
    threads = max(1, (os.cpu_count() or 1) // len(devices))
    bar = progress(
        total=len(members) * recipe.epochs, done=_epochs(folder, members), title=f"{len(members)} members", unit="epoch"
    )
    try:
        with bar:
            while waiting or running:
                for place in [place for place in range(len(devices)) if place not in running][: len(waiting)]:
                    i = waiting.pop(0)
                    task = (member_folder(folder, i), i, recipe, data, devices[place], clock.hours_left(), threads)
                    running[place] = i, _started(task)
                time.sleep(_POLL_SECONDS)
                bar.update(_epochs(folder, members) - bar.n)
                for place, i, status in _ended(running):
                    del running[place]
                    if status == _OUT_OF_TIME and waiting:
                        waiting.clear()
                        say("the time is up: members that have not started are left for the next session")
                    elif status:
                        failed[i] = _describe_failure(folder, i, status)
                        say(failed[i])
    finally:
        for _, process in running.values():
            process.kill()
            process.join()
    if len(failed) == len(members):
        raise KitError("no member could be trained, see above. " + failed[members[0]])


def _started(task):
    # A forked process cannot use CUDA. An interrupt is for the parent, which ends its children: they inherit that the
    # signal is blocked.
    folder, *_ = task
    process = multiprocessing.get_context("spawn").Process(target=_work, args=task, daemon=True, name=folder.name)
    with _no_interrupt():
        process.start()
    return process


@contextmanager
def _no_interrupt():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ended(running):
    """Index, member and exit status of the processes that have ended."""
    return [
        (place, i, process.exitcode) for place, (i, process) in running.items() if process.exitcode is not None
    ]


def _work(folder, member, recipe, data, device, hours, threads):
    """The process: train one member, with all output in its log."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Imported now, so that messages of libraries go to the log.
    import torch

    from ..utils.clock import Clock
    from .member import train_member

    if device.kind == "cpu":
        torch.set_num_threads(threads)
    try:
        is_finished = train_member(folder, member, recipe, data, device=device, clock=Clock(hours))
    except KitError as error:
        say(str(error))
        sys.exit(_FAULT)
    sys.exit(0 if is_finished else _OUT_OF_TIME)


def _end_with_the_parent():
    # If the parent is killed, its lock is gone, and two processes could train one member.
    multiprocessing.parent_process().join()
    os._exit(_FAULT)


def _epochs(folder, members):
    histories = read_histories(folder)
    return sum(len(histories[i]) for i in members if i in histories)


def _describe_failure(folder, member, status):
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    log = member_folder(folder, member) / _LOG
    last = "\n  ".join(_last_lines(folder, member))
    return f"member_{member:02d}: its process {how}. The last lines of {log}:\n  {last}"


def _last_lines(folder, member):
    log = member_folder(folder, member) / _LOG
    try:
        # only the last state of a progress bar
        lines = [line.rsplit("\r", 1)[-1].strip() for line in log.read_text(errors="replace").splitlines()]
    except OSError:
        lines = []
    return [line for line in lines if line][-_LAST_LINES:] or ["nothing"]
