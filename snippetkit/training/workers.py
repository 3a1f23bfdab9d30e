"""Several members at once, each on a device and in a process of its own, so that none can take another down with it.

joblib, which does most else in parallel, takes all its processes down when one of them dies, and cannot say
which one that was.
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

_SECONDS_BETWEEN_LOOKS = 0.5
_LAST_LINES = 5
_LOG = "worker.log"
_FAULT, _OUT_OF_TIME = 1, 3     # exit statuses


def train_side_by_side(folder, members, recipe, data, devices, clock):
    """Train members, as many at a time as there are devices; what one leaves undone does not stop the others.

    Parameters
    ----------
    folder : path-like
        ``members`` in the work folder. What a process says goes to ``worker.log`` in its member's folder.
    members : list of int
    recipe : Recipe
    data : TrainingData
    devices : list of Device
        The same one may be there twice.
    clock : Clock

    Raises
    ------
    KitError
        If all processes failed; if some did, what each of them said last is printed, and the others count.
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
                time.sleep(_SECONDS_BETWEEN_LOOKS)
                bar.update(_epochs(folder, members) - bar.n)
                for place, i, status in _ended(running):
                    del running[place]
                    if status == _OUT_OF_TIME and waiting:
                        waiting.clear()
                        say("the time is up: the members that are not begun are left for the next session")
                    elif status:
                        failed[i] = _what_happened(folder, i, status)
                        say(failed[i])
    finally:
        for _, process in running.values():
            process.kill()
            process.join()
    if len(failed) == len(members):
        raise KitError("no member could be trained; see above. " + failed[members[0]])


def _started(task):
    # A forked process cannot use CUDA. The person's interrupt goes to the parent, which ends its children: they inherit
    # that it is blocked, and it reaches us once they are started.
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
    """Place, member and exit status of the processes that are over."""
    return [
        (place, i, process.exitcode) for place, (i, process) in running.items() if process.exitcode is not None
    ]


def _work(folder, member, recipe, data, device, hours, threads):
    """What runs in the process: train one member, all words into its log."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / _LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Only now, so that what a library says while it loads is in the log.
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
    # A parent that is killed can tell nobody, and its lock is gone: two processes would then train one member.
    multiprocessing.parent_process().join()
    os._exit(_FAULT)


def _epochs(folder, members):
    histories = read_histories(folder)
    return sum(len(histories[i]) for i in members if i in histories)


def _what_happened(folder, member, status):
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    log = member_folder(folder, member) / _LOG
    last = "\n  ".join(_last_lines(folder, member))
    return f"member_{member:02d}: its process {how}; the last that it wrote to {log}:\n  {last}"


def _last_lines(folder, member):
    log = member_folder(folder, member) / _LOG
    try:
        # of a progress bar only its last state
        lines = [line.rsplit("\r", 1)[-1].strip() for line in log.read_text(errors="replace").splitlines()]
    except OSError:
        lines = []
    return [line for line in lines if line][-_LAST_LINES:] or ["nothing"]
