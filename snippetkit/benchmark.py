"""All benchmarks of the checkout, one after the other, into one table: what the kit is fast at, and against what.

The benchmarks are scripts in ``tests/benchmarks``, each of which can be run by itself.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from . import __version__
from .errors import KitError
from .places import project_folder
from .progress import say
from .storage import read_json, replacing, write_json

PARTS = ("features", "epoch", "prediction", "checkpoint", "startup", "songs")
# It takes the environment of the Spleeter package and weights, so it runs only where it is asked for.
_ALL_PARTS = (*PARTS, "separation")
_VERSIONS = ("numpy", "scipy", "librosa", "soundfile", "soxr", "joblib", "torch", "torchvision")


def run(data, folder, *, parts=PARTS, rounds=0):
    """Run benchmarks and write ``benchmarks.json`` and ``benchmarks.md``, after each of them anew.

    What the tables held of other parts, from the same commit, machine and versions, they keep.

    Parameters
    ----------
    data : path-like
        The folder of a competition.
    folder : path-like
        Where the tables go.
    parts : sequence of str
    rounds : int
        0 is each benchmark's own number.

    Returns
    -------
    str
        The table, as Markdown.

    Raises
    ------
    KitError
        If there is no such benchmark, this is no checkout, or a benchmark fails; the tables then hold the others.
    """
    project = project_folder()
    scripts = project and project / "tests" / "benchmarks"
    if not scripts or not scripts.is_dir():
        raise KitError("the benchmarks are in a checkout of the project; run this from one.")
    if unknown := [part for part in parts if part not in _ALL_PARTS]:
        raise KitError(f"there is no benchmark {', '.join(unknown)}; choose among {', '.join(_ALL_PARTS)}.")
    folder, machine, failed, text = Path(folder), _machine(), [], ""
    earlier = read_json(folder / "benchmarks.json") or {}
    rows = earlier["rows"] if earlier.get("machine") == machine else []
    if earlier and not rows:
        say(f"{folder / 'benchmarks.md'} was of another commit, machine or version, and is begun anew")
    for part in parts:
        say(f"{part} …")
        try:
            found = _rows(scripts / f"{part}.py", Path(data).resolve(), rounds)
        except KitError as error:
            failed.append(str(error))
            continue
        rows = [row for row in rows if row["part"] != part] + found
        text = _written(folder, machine, sorted(rows, key=lambda row: _ALL_PARTS.index(row["part"])))
    if failed:
        failed += [f"What did not fail is in {folder / 'benchmarks.md'}."] if rows else []
        raise KitError("\n".join(failed))
    return text


def _written(folder, machine, rows):
    about = ", ".join(f"{name} {value}" for name, value in machine.items())
    text = f"{about}\n\n{table(rows)}"
    write_json(folder / "benchmarks.json", {"machine": machine, "rows": rows})
    with replacing(folder / "benchmarks.md") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return text


def _rows(script, data, rounds):
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "rows.json")
        command = [sys.executable, script, data, "--json", target]
        done = subprocess.run(
            command + (["--rounds", str(rounds)] if rounds else []), capture_output=True, text=True, cwd=script.parent,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise KitError(f"{script.name} failed with status {done.returncode}: {said[-1]}")
        return json.loads(target.read_text())


def table(rows):
    """Rows of benchmarks as Markdown."""
    lines = [
        "| part | way | ms | least to most | times as fast | over the floor | in all | peak memory |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(row):
    floor = "" if row["over_floor"] is None else f"{row['over_floor'] - 1:+.1%}"
    return "| " + " | ".join([
        f"{row['part']}, a {row['unit']}",
        row["way"],
        f"{row['median']:.3g}",
        f"{row['low']:.3g} to {row['high']:.3g}, {row['rounds']} runs" if row["rounds"] > 1 else "one run",
        "" if row["ratio"] is None else f"{row['ratio']:.2f}",
        "(the floor)" if row["is_floor"] else floor,
        f"{row['median'] * row['count'] / 1000:.3g} s",
        "" if row["memory"] is None else f"{row['memory']:.2f} GB",
    ]) + " |"


def _machine():
    import torch

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
    # cores that this process may use, which may be fewer than there are
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "kit": _commit(), "system": platform.system(), "processor": _processor(), "cores": cores,
        "threads of torch": torch.get_num_threads(), "GPU": gpu, "Python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in _VERSIONS},
    }


def _commit():
    """What the timed code is; rows of other code are of another machine, so to speak, and are not kept."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=project_folder(),
    )
    return said.stdout.strip() or __version__


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
