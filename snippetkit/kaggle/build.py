"""Building what the official Kaggle client sends: the kit's wheel and weights as datasets, the notebooks.

The templates are in the project's folder ``kaggle``.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from string import Template

import nbformat
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from ..run.pipeline import NOTEBOOKS
from ..utils.errors import KitError
from ..utils.paths import project_folder
from ..utils.storage import replacing

# Kaggle's name of its two T4s: https://github.com/Kaggle/kaggle-cli/pull/1198
_MACHINE = "NvidiaTeslaT4"
KIT, WEIGHTS = "kit", "weights"
DATASETS = {    # name on Kaggle and subtitle
    KIT: ("snippetkit", "The wheel that the four snippetkit notebooks install"),
    WEIGHTS: ("snippetkit-weights", "Published weights that the snippetkit notebooks use"),
}
PARTS = (*DATASETS, *NOTEBOOKS)     # in the order of sending
SEPARATION, FEATURES, TRAINING, PREDICTION = NOTEBOOKS


def build_folders(
    folder, *, user, competition="", datasets=(), parameters=None, separates=True, has_classifiers=False, weights=None,
    internet=True,
):
    """Write one folder for each dataset and for each notebook.

    Parameters
    ----------
    folder : path-like
        Gets ``kit``, ``weights``, ``01_spleeter``, … ``04_predict``; an earlier build is replaced.
    user : str
        User name on Kaggle. Users, competitions and datasets may also be given by the address of any of their pages.
    competition : str
        Name of the competition in its address.
    datasets : sequence of str
        Further datasets to attach, as ``owner/name``: the clips, or weights of one's own.
    parameters : dict or None
        Values for the notebooks' parameters cells; a notebook gets those that it has.
    separates : bool
        Whether the recipe separates vocals; 01_spleeter then gets a GPU.
    has_classifiers : bool
        Whether the recipe has classifiers; 02_features then needs their networks, and gets a GPU.
    weights : dict or None
        Name to folder of the weights that 01_spleeter and 02_features need; without any there is no part ``weights``.
    internet : bool
        Whether these two may download them, if none are sent. The others have no internet access.

    Returns
    -------
    list of Path
        The folders, in the order of sending.

    Raises
    ------
    KitError
        If a name is invalid, the kit is not a checkout, or the wheel cannot be built.
    """
    user, competition = without_address(user), without_address(competition)
    datasets = [without_address(dataset, parts=2) for dataset in datasets]
    _check_names(user, competition, datasets)
    project = require_project()
    folder = Path(folder)
    parts = [part for part in PARTS if weights or part != WEIGHTS]
    for part in PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
    for part in parts:
        (folder / part).mkdir(parents=True)
    own = {part: f"{user}/{DATASETS[part][0]}" for part in parts if part in DATASETS}
    for part, reference in own.items():
        title, subtitle = DATASETS[part]
        about = {"id": reference, "title": title, "subtitle": subtitle}
        values = {key: json.dumps(value) for key, value in about.items()}
        write(folder / part / "dataset-metadata.json", filled(project, "dataset-metadata.json", **values))
    for name, place in (weights or {}).items():
        shutil.copytree(place, folder / WEIGHTS / name)
    wheel = build_wheel(project, folder / KIT)
    first_cell = filled(project, "first_cell.py", sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    downloads = [name for name, needs in ((SEPARATION, separates), (FEATURES, has_classifiers)) if needs]
    for before, name in zip([None, *NOTEBOOKS], NOTEBOOKS):
        given = {key: value for key, value in (parameters or {}).items() if key in NOTEBOOKS[name]}
        notebook = _notebook(project / "notebooks" / f"{name}.ipynb", first_cell, given)
        has_gpu = {TRAINING: True, SEPARATION: separates, FEATURES: has_classifiers}.get(name, False)
        choices = {
            "id": f"{user}/{slug(name)}", "notebook": f"{name}.ipynb", "title": slug(name).replace("-", " "),
            "gpu": has_gpu, "machine": _MACHINE if has_gpu else None,
            "internet": name in downloads and internet and not weights,
            "datasets": [*(own.values() if name in (SEPARATION, FEATURES) else [own[KIT]]), *datasets],
            "competitions": [competition] if competition else [],
            "kernels": [f"{user}/{slug(before)}"] if before else [],
        }
        values = {key: json.dumps(value) for key, value in choices.items()}
        write(folder / name / f"{name}.ipynb", nbformat.writes(notebook))
        write(folder / name / "kernel-metadata.json", filled(project, "kernel-metadata.json", **values))
    return [folder / part for part in parts]


def require_project():
    """The folder of the checkout; KitError if the kit was installed without one."""
    project = project_folder()
    if project is None or not (project / "kaggle").is_dir():
        raise KitError("the Kaggle notebooks are built from a checkout of the project. Run this from one.")
    return project


def slug(notebook):
    """Name of a notebook in its address on Kaggle, such as ``snippetkit-01-spleeter``."""
    return "snippetkit-" + notebook.replace("_", "-")


def attach_own_output(folder):
    """Attach the output of its own last version to the training notebook of a build.

    Parameters
    ----------
    folder : Path
        ``03_train_ensemble`` of a build.
    """
    path = folder / "kernel-metadata.json"
    metadata = json.loads(path.read_text(encoding="utf-8"))
    if metadata["id"] not in metadata["kernel_sources"]:
        metadata["kernel_sources"].append(metadata["id"])
        write(path, json.dumps(metadata, indent=2))


def without_address(text, parts=1):
    """The name in an address on Kaggle, such as 'titanic' in ``https://www.kaggle.com/c/titanic/data``."""
    address = re.fullmatch(r"(?:https?://)?(?:www\.)?kaggle\.com/(?:(?:competitions|c|datasets)/)?([^?#]+).*", text)
    return "/".join(address[1].split("/")[:parts]) if address else text.strip("/")


def _check_names(user, competition, datasets):
    if not re.fullmatch(r"[A-Za-z0-9_-]+", user):
        raise KitError(f"{user!r} is not a user name on Kaggle. It is the last part of your profile's address.")
    if competition and not re.fullmatch(r"[a-z0-9-]+", competition):
        raise KitError(f"{competition!r} is not a competition. Give the last part of its address, such as 'titanic'.")
    for dataset in datasets:
        if not re.fullmatch(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+", dataset):
            raise KitError(f"{dataset!r} is not a dataset. Give owner and name, such as 'somebody/weights'.")
    if not competition and not datasets:
        raise KitError("no data would be attached. Give the competition, or a dataset with its clips.")


def build_wheel(project, folder):
    """Build the kit's wheel from a checkout; returns its path in the folder.

    Raises
    ------
    KitError
        If pip cannot build it.
    """
    # From a copy, because setuptools leaves folders beside what it builds; with the installed setuptools (torch needs
    # it), so that nothing is downloaded.
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary, "project")
        copy.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(project / name, copy)
        shutil.copytree(project / "snippetkit", copy / "snippetkit", ignore=shutil.ignore_patterns("__pycache__"))
        result = subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
             "--wheel-dir", str(folder), str(copy)],
            capture_output=True, text=True,
        )
    if result.returncode:
        raise KitError(f"the kit's wheel could not be built. pip says: {result.stderr.strip()[-500:]}")
    return next(folder.glob("*.whl"))


def read_notebook(path):
    """One of the project's notebooks for papermill, without the outputs of the demo."""
    notebook = load_notebook_node(str(path))
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        cell.outputs, cell.execution_count = [], None
    return notebook


def _notebook(path, first_cell, parameters):
    """A notebook that installs the kit in its first cell, with the given parameters."""
    notebook = read_notebook(path)
    if parameters:
        notebook = parameterize_notebook(notebook, parameters, comment="From the command that built this.")
    notebook.cells.insert(1, nbformat.v4.new_code_cell(first_cell.rstrip(), id="install"))
    return notebook


def filled(project, template, **values):
    """The text of a template in ``kaggle/`` of the project, with values in place of its names."""
    return Template((project / "kaggle" / template).read_text(encoding="utf-8")).substitute(values)


def write(path, text):
    """Write a file of a build, complete or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
