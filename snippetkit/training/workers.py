"""Training several members at once, each in its own process, so that one that dies does not stop the others.

(joblib stops all its processes when one of them dies, and cannot say which one it was.)
"""

import multiprocessing
import os
import signal
import sys
import threading
from multiprocessing import connection

from ..utils.errors import KitError
from ..utils.progress import progress, say
from .members import count_epochs, member_folder

_SPAWN = multiprocessing.get_context("spawn")   # a forked process cannot use CUDA
_LOG = "worker.log"
_OUT_OF_TIME = 3    # exit status


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
    waiting, free, running, failed = list(members), list(devices), {}, {}   # running: process to member and device
    threads = max(1, (os.cpu_count() or 1) // len(devices))
    total, title = len(members) * recipe.epochs, f"{len(members)} members"
    try:
        with progress(total=total, done=_epochs(folder, members), title=title, unit="epoch") as bar:
            while waiting or running:
                while waiting and free:
                    member, device = waiting.pop(0), free.pop(0)
                    task = (member_folder(folder, member), member, recipe, data, device, clock.hours_left(), threads)
                    process = _SPAWN.Process(target=_work, args=task, daemon=True, name=f"member_{member:02d}")
                    running[process] = member, device   # before the start, so that an interrupt misses no process
                    _start(process)
                connection.wait([process.sentinel for process in running], timeout=0.5)     # seconds
                bar.update(_epochs(folder, members) - bar.n)
                for process in [process for process in running if process.exitcode is not None]:
                    member, device = running.pop(process)
                    free.append(device)
                    if process.exitcode not in (0, _OUT_OF_TIME):
                        failed[member] = _describe_failure(folder, member, process.exitcode)
                        say(failed[member])
                    elif process.exitcode == _OUT_OF_TIME and waiting:
                        waiting.clear()
                        say("the time is up: members that have not started are left for the next session")
    finally:
        for process in [process for process in running if process.pid is not None]:
            process.kill()
            process.join()
    if len(failed) == len(members):
        raise KitError("no member could be trained, see above. " + failed[members[0]])


def _start(process):
    # An interrupt is for the parent, which ends its children: they inherit that the signal is blocked.
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)


def _work(folder, member, recipe, data, device, hours, threads):
    """The process: train one member, with all output in its log."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
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
        sys.exit(str(error))
    sys.exit(0 if is_finished else _OUT_OF_TIME)


def _end_with_the_parent():
    # If the parent is killed, its lock is gone, and two processes could train one member.
    multiprocessing.parent_process().join()
    os._exit(1)


def _epochs(folder, members):
    """How many epochs these members have trained together."""
    return sum(count_epochs(folder, i) for i in members)


def _describe_failure(folder, member, status):
    log = member_folder(folder, member) / _LOG
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line.rsplit("\r", 1)[-1].strip() for line in text.splitlines()]    # only the last state of a progress bar
    last = "\n  ".join([line for line in lines if line][-5:] or ["nothing"])
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    return f"member_{member:02d}: its process {how}. The last lines of {log}:\n  {last}"
