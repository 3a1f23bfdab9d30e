"""The same joblib calls on a Dask or Ray cluster, for those who have outgrown one machine.

Every process of the cluster, a Dask scheduler's too, needs the kit, and sees clips and work folder under the same
paths. Each worker has one thread, since torch keeps one random generator a process.
"""

import itertools
import threading
import time
from concurrent.futures import Future
from contextlib import contextmanager

import joblib

from .errors import KitError
from .progress import say

_PATIENCE = 30      # seconds to wait for a cluster's answer
_RAYS_PATIENCE = 120    # seconds for a Ray head to start a process for us; a busy one takes 20
_ATTEMPTS, _PAUSE = 4, 3    # at a Ray head that answers and takes nobody on; seconds between them
_AT_ONCE = 64       # tasks, where results come together or not at all


@contextmanager
def connected(address, *, gpus=False):
    """Hand what joblib runs in parallel inside the block to a cluster.

    Parameters
    ----------
    address : str
        ``dask://host:port`` of a scheduler, ``ray://host:port`` of a head node; empty for this machine alone.
    gpus : bool
        Whether a task takes a GPU where there are any: Ray then runs as many at once as it has GPUs. (A Dask worker
        sees those that it was started with.)

    Raises
    ------
    KitError
        If the address is of neither kind, its package is not installed, nobody answers there or a Ray head hangs, there
        are fewer than two workers or one has several threads; and if the cluster gives up inside the block.
    """
    if not address:
        yield
        return
    kind, separator, place = address.partition("://")
    if kind not in _BACKENDS or not place:
        raise KitError(f"{address!r} is no cluster; write dask://host:port or ray://host:port.")
    with _BACKENDS[kind](place, gpus) as (workers, options):
        # joblib would do the work of a single one here, without a word
        if workers < 2:
            raise KitError(
                f"the cluster at {address} has {workers} workers, and it takes two at least: start more, or leave "
                "--cluster away."
            )
        say(f"cluster: {workers} workers at {address}")
        with joblib.parallel_config(backend=kind, n_jobs=workers, **options):
            yield


def one_by_one(tasks, jobs=-1):
    """Results of joblib's tasks, in their order and as early as the backend in charge gives them.

    Parameters
    ----------
    tasks : iterable
        Of what `joblib.delayed` makes.
    jobs : int or None
        As joblib counts them; None is as `connected` says.
    """
    backend, _ = joblib.parallel.get_active_backend()
    if backend.supports_return_generator:
        yield from joblib.Parallel(jobs, return_as="generator")(tasks)
        return
    tasks = iter(tasks)
    while some := list(itertools.islice(tasks, _AT_ONCE)):
        yield from joblib.Parallel(jobs)(some)


@contextmanager
def _dask(place, gpus):
    try:
        from distributed import Client
        from distributed.client import FutureCancelledError
        from distributed.comm import CommClosedError
        from distributed.scheduler import KilledWorker
    except ImportError:
        raise KitError("a Dask cluster is reached by its own package: pip install -U distributed") from None
    try:
        client = Client(f"tcp://{place}", timeout=_PATIENCE, set_as_default=True)
    except (OSError, ValueError) as error:
        raise KitError(f"no Dask scheduler answers at {place}: {error}") from error
    with client:
        threads = client.nthreads()
        crowded = [worker for worker, count in threads.items() if count > 1]
        if crowded:
            raise KitError(
                f"the Dask worker {crowded[0]} has {threads[crowded[0]]} threads; start it with --nthreads 1, and with "
                "--nworkers for as many as the machine has to give."
            )
        try:
            yield len(threads), {}
        except KeyboardInterrupt:
            say("what the Dask cluster has begun goes on there to its end")
            raise
        except (KilledWorker, FutureCancelledError, CommClosedError) as error:
            raise _gave_up(place, error) from error


@contextmanager
def _ray(place, gpus):
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError:
        raise KitError("a Ray cluster is reached by its own package: pip install -U 'ray[client]'") from None
    for left in reversed(range(_ATTEMPTS)):
        try:
            _within(_RAYS_PATIENCE, lambda: ray.init(f"ray://{place}"))
            break
        except _Hangs:
            raise KitError(
                f"the Ray cluster at {place} answers, and has not taken us on within {_RAYS_PATIENCE} s: start its "
                "head anew, with GRPC_ENABLE_FORK_SUPPORT=0 in its environment, and then this."
            ) from None
        # the head answers, but could not get a process for us to run: so one that is busy, or has just been started
        except (ConnectionAbortedError, RuntimeError) as error:
            if not left:
                raise KitError(f"the Ray cluster at {place} takes nobody on: {error}") from error
            time.sleep(_PAUSE)
        except (ConnectionError, TimeoutError, ValueError) as error:
            raise KitError(f"no Ray cluster answers at {place}: {error}") from error
    try:
        register_ray()
        there = ray.cluster_resources()
        if gpus and there.get("GPU"):   # a task that does not ask for one does not see any
            yield int(there["GPU"]), {"ray_remote_args": {"num_gpus": 1}}
        else:
            yield int(there.get("CPU", 0)), {}
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise _gave_up(place, error) from error
    finally:
        ray.shutdown()


class _Hangs(Exception):
    """There is neither an answer nor an error."""


def _within(seconds, call):
    """Wait as long for what is called, which sets no limit itself; past that it is left alone, on its own thread."""
    future = Future()

    def run():
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise _Hangs
    return future.result()


def _gave_up(place, error):
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return KitError(f"the cluster at {place} gave up: {reason} What was saved is kept; run again to go on.")


_BACKENDS = {"dask": _dask, "ray": _ray}
