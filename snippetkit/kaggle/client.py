"""Sending a build with the official Kaggle client, and fetching the results."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

from ..run.pipeline import NOTEBOOKS
from ..utils.artifacts import fingerprint
from ..utils.errors import KitError
from ..utils.progress import say
from ..utils.storage import read_json, write_json
from .build import DATASETS, KIT, PARTS, PREDICTION, TRAINING, WEIGHTS, attach_own_output, slug
from .watch import DONE, is_missing, status_code, wait, wait_for_notebook, wait_if_it_runs

# The fetched results; members and features are gigabytes and stay on Kaggle.
_RESULTS = r"^(submission\.csv|report\.json|held_out\.csv|test_scores\.csv|figures/.*\.png)$"


def connect(user):
    """The official client, authenticated.

    Parameters
    ----------
    user : str
        The user that the credentials must belong to.

    Returns
    -------
    KaggleApi

    Raises
    ------
    KitError
        If the client is not installed, Kaggle cannot be reached, or the credentials are missing or another user's.
    """
    output = io.StringIO()  # the client prints a page of advice; one sentence is enough
    try:
        import requests

        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            from kaggle.api.kaggle_api_extended import KaggleApi

            api = KaggleApi()
            api.authenticate()
    except ImportError:
        raise KitError("the official client is not installed: pip install 'kaggle>=2.2.4'") from None
    except (SystemExit, OSError, ValueError) as error:  # the client exits if it finds no credentials
        if isinstance(error, requests.RequestException) and status_code(error) not in (400, 401, 403):
            raise KitError(f"Kaggle cannot be reached ({type(error).__name__}). Check the network.") from error
        raise KitError(
            "there are no valid credentials for Kaggle. Generate a token at https://www.kaggle.com/settings/api, save "
            "it as ~/.kaggle/access_token or set KAGGLE_API_TOKEN to it (or run kaggle auth login), then try again."
        ) from None
    owner = api.get_config_value("username")
    if owner and owner.lower() != user.lower():
        raise KitError(f"this was built for {user}, but the credentials are those of {owner}. Build it for {owner}.")
    return api


def push(folder, *, start=KIT, seconds=30.0):
    """Send the datasets and the notebooks in order; each waits until the one before has finished.

    Parameters
    ----------
    folder : path-like
        As `build.build_folders` makes it.
    start : str
        Skip the parts before this one: 'kit', 'weights', '01_spleeter', …. A notebook that is running already is
        waited for.
    seconds : float
        Between two status requests.

    Raises
    ------
    KitError
        If the folder is not a build, the client or Kaggle returns an error, or a notebook fails.
    """
    folder = Path(folder)
    if start not in PARTS:
        raise KitError(f"there is no part {start!r}. Choose one of {', '.join(PARTS)}.")
    first = PARTS.index(start)
    parts = [part for part in PARTS[first:] if part != WEIGHTS or (folder / part).is_dir()]
    for part in parts:
        _reference(folder / part)   # a part that is missing is an error now, not after hours
    api = connect(_owner(folder))
    before = PARTS[first - 1] if first else KIT
    if before in NOTEBOOKS:
        with _sentences(before):
            wait_if_it_runs(api, _reference(folder / before), seconds)
    for part in parts:
        with _sentences(part):
            if part == KIT:
                _send_kit(api, folder / part, seconds)
            elif part == WEIGHTS:
                _send_weights(api, folder / part, seconds)
            elif not (part == start and wait_if_it_runs(api, _reference(folder / part), seconds)):
                _send_notebook(api, folder / part, seconds)


def resume(folder, *, seconds=30.0):
    """Send the training notebook again with its last output attached, so that it continues from there."""
    folder = Path(folder)
    api = connect(_owner(folder))
    with _sentences(TRAINING):
        wait_if_it_runs(api, _reference(folder / TRAINING), seconds)
        attach_own_output(folder / TRAINING)
        _send_notebook(api, folder / TRAINING, seconds)
    say("its output says how many members are finished; when all are, continue with")
    say(f"python -m snippetkit kaggle push --from {PREDICTION}")


def fetch(folder, target):
    """Fetch submission, report and figures of the last notebook, and all four executed notebooks.

    Parameters
    ----------
    folder : path-like
        As `build.build_folders` makes it.
    target : path-like

    Returns
    -------
    list of Path
        The fetched files.

    Raises
    ------
    KitError
        If there is no output, or Kaggle returns an error.
    """
    folder, target = Path(folder), Path(target)
    user = _owner(folder)
    api = connect(user)
    with _sentences(PREDICTION):
        fetched, _ = api.kernels_output(f"{user}/{slug(PREDICTION)}", str(target), file_pattern=_RESULTS, force=True)
    paths = [Path(path) for path in fetched if not path.endswith(".log")]
    if target / "submission.csv" not in paths:
        raise KitError(f"{slug(PREDICTION)} has no submission.csv in its output. See its log on Kaggle.")
    for name in NOTEBOOKS:
        with _sentences(name):
            pulled = Path(api.kernels_pull(f"{user}/{slug(name)}", str(target / "notebooks")))
            paths.append(Path(shutil.move(pulled, target / "notebooks" / f"{name}.ipynb")))
            notebook = nbformat.read(paths[-1], as_version=4)
            NotebookNotary().sign(notebook)     # or JupyterLab would not show its players
        if not any(cell.get("outputs") for cell in notebook.cells):
            say(f"{paths[-1]} came without the outputs of its cells; see it on Kaggle")
    return paths


def _owner(folder):
    return _reference(folder / KIT).split("/")[0]


def _reference(part):
    """Name of a part on Kaggle: ``owner/name``."""
    path = part / ("dataset-metadata.json" if part.name in DATASETS else "kernel-metadata.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))["id"]
    except OSError:
        raise KitError(f"{part.parent.resolve()} contains no build for Kaggle. Run kaggle build first.") from None


def _send_kit(api, folder, seconds):
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise KitError(f"{folder} does not contain one wheel. Run kaggle build again.")
    _send_dataset(api, folder, wheels[0].name, seconds)


def _send_weights(api, folder, seconds):
    """Send the weights, unless the newest version on Kaggle has the same files and was sent with this build."""
    reference, note = _reference(folder), folder.with_suffix(".sent.json")
    sent = {"dataset": reference, "files": fingerprint(sorted(path for path in folder.rglob("*") if path.is_file()))}
    if read_json(note) == {**sent, "version": _version(api, reference)}:
        say(f"dataset {reference}: there already")
        return
    _send_dataset(api, folder, ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir())), seconds)
    write_json(note, {**sent, "version": _version(api, reference)})


def _send_dataset(api, folder, contents, seconds):
    reference = _reference(folder)
    version = _version(api, reference)
    options = {"quiet": True, "dir_mode": "zip"}    # Kaggle unpacks the folders
    if version:
        answer = api.dataset_create_version(str(folder), contents, **options)
    else:
        answer = api.dataset_create_new(str(folder), **options)
    if answer is None or (answer.status or "").lower() != "ok":
        raise KitError(f"Kaggle refused the dataset {reference}: {getattr(answer, 'error', None) or 'no reason'}.")
    say(f"dataset {reference}: sent with {contents}")

    def status_of_dataset():
        # until the new version exists, Kaggle reports the one before as ready
        status = api.dataset_status(reference)
        return ("pending" if status in DONE and _version(api, reference) == version else status), None

    wait(status_of_dataset, f"dataset {reference}", seconds)


def _version(api, reference):
    """The number of a dataset's newest version; 0 if there is no such dataset."""
    try:
        return json.loads(api.dataset_status(reference, format="json"))["current_version_number"]
    except (OSError, ValueError) as error:
        if is_missing(error):
            return 0
        raise


def _send_notebook(api, folder, seconds):
    reference = _reference(folder)
    answer = api.kernels_push(str(folder))
    if answer is None or answer.error:
        raise KitError(f"Kaggle refused {reference}: {getattr(answer, 'error', None) or 'no reason given'}.")
    if reference in (answer.invalid_kernel_sources or []):
        say(f"{reference}: none of its versions has an output yet, so it starts from the beginning")
    for kind in ("dataset", "competition", "kernel"):
        refused = [name for name in getattr(answer, f"invalid_{kind}_sources") or [] if name != reference]
        if refused:
            raise KitError(
                f"{reference} runs on Kaggle without its data: there is no {kind} {', '.join(refused)}. "
                "Stop it there, and build with the right name. The rules of a competition must be accepted first."
            )
    say(f"{reference}: sent, {answer.url}")
    wait_for_notebook(api, reference, seconds)


@contextlib.contextmanager
def _sentences(part):
    """Turn the client's errors (metadata, refusals, connections) into a sentence that names the part."""
    import requests

    try:
        yield
    except requests.HTTPError as error:
        raise KitError(f"Kaggle refused {part}: {error}") from error
    except (requests.RequestException, ValueError) as error:
        raise KitError(f"{part} could not be sent or fetched: {error}") from error
