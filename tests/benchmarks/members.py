"""An epoch of two ResNet34s on two cores: one after the other with both cores, or at the same time with a core each."""

import multiprocessing
import os

import torch
from resnet34 import new_state, random_dataset, train
from side_by_side import benchmark, timed

CLIPS = 320     # 10 batches
BATCH = 32
MEMBERS = 2


def one_after_the_other(data):
    dataset, states = random_dataset(CLIPS), [new_state(CLIPS // BATCH) for _ in range(MEMBERS)]

    def epoch():
        for state in states:
            train(state, dataset)

    return timed(epoch, MEMBERS * CLIPS, warm_up=epoch)


def at_the_same_time(data, *, is_pinned=False):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(MEMBERS + 1)
    processes = [spawn.Process(target=_member, args=(core, is_pinned, barrier)) for core in range(MEMBERS)]
    for process in processes:
        process.start()
    barrier.wait()      # all have trained an epoch

    def epoch():
        barrier.wait()
        barrier.wait()

    result = timed(epoch, MEMBERS * CLIPS)
    for process in processes:
        process.join()
    return result


def pinned(data):
    return at_the_same_time(data, is_pinned=True)


def _member(core, is_pinned, barrier):
    if is_pinned:
        os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
    torch.set_num_threads(1)
    dataset, state = random_dataset(CLIPS), new_state(CLIPS // BATCH)
    train(state, dataset)
    barrier.wait()      # warm
    barrier.wait()      # the clock runs
    train(state, dataset)
    barrier.wait()


if __name__ == "__main__":
    benchmark({
        "one after the other, two threads": one_after_the_other, "two at a time, one thread each": at_the_same_time,
        "two at a time, one thread each, pinned": pinned,
    }, unit="clip", doc=__doc__)
