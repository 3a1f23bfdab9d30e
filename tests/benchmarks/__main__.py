"""All benchmarks, one after the other, into one table: ``python -m tests.benchmarks DATA`` from the project's folder.

Each benchmark is a script beside this file and can be run by itself.
"""

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from snippetkit.utils.errors import KitError
from snippetkit.utils.progress import say
from snippetkit.utils.storage import read_json, replacing, write_json

from .side_by_side import table

PARTS = ("features", "epoch", "prediction", "checkpoint", "startup", "songs")
# It takes the environment of the Spleeter package and weights, so it runs only where it is asked for.
_ALL_PARTS = (*PARTS, "separation")
_SCRIPTS = Path(__file__).parent
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
        If there is no such benchmark, or a benchmark fails; the tables then hold the others.
    """
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
            found = _rows(_SCRIPTS / f"{part}.py", Path(data).resolve(), rounds)
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
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=_SCRIPTS,
    )
    return said.stdout.strip() or importlib.metadata.version("snippetkit")


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("parts", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), default="runs/benchmarks", show_default=True)
@click.option("--rounds", default=0, type=click.IntRange(min=0), help="Default: each benchmark's own.")
def main(data, parts, out, rounds):
    """Time the kit on the clips in DATA beside what people do otherwise: all PARTS, or those named."""
    try:
        click.echo(run(data, out, parts=parts or PARTS, rounds=rounds))
    except KitError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main(prog_name="python -m tests.benchmarks")
