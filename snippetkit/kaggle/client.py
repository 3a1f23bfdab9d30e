"""What is built is sent by the official client, which checks it, and what comes of it is fetched."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import nbformat

from ..run.pipeline import NOTEBOOKS
from ..utils.errors import KitError
from ..utils.progress import say
from .build import KIT, PREDICTION, TRAINING, attach_own_output, slug
from .watch import DONE, is_missing, status_code, wait, wait_for_notebook, wait_if_it_runs

# The results that are fetched; members and features are gigabytes, and stay.
_RESULTS = r"^(submission\.csv|report\.json|held_out\.csv|figures/.*\.png)$"


def connect(user=None):
    """The official client, with the credentials that it finds.

    Parameters
    ----------
    user : str or None
        Whose credentials they must be.

    Returns
    -------
    KaggleApi

    Raises
    ------
    KitError
        If the client is not installed, Kaggle cannot be reached, or there are no credentials, or somebody else's.
    """
    said = io.StringIO()  # a page of advice; one sentence is enough
    try:
        import requests

        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            from kaggle.api.kaggle_api_extended import KaggleApi

            api = KaggleApi()
            api.authenticate()
    except ImportError:
        raise KitError("the official client is not installed: pip install 'kaggle>=2.2.4'") from None
    except (SystemExit, OSError, ValueError) as error:  # the client ends the process where it finds no credentials
        if isinstance(error, requests.RequestException) and status_code(error) not in (400, 401, 403):
            raise KitError(f"Kaggle cannot be reached ({type(error).__name__}); is there a network?") from error
        raise KitError(
            "there are no credentials that Kaggle takes: generate a token at https://www.kaggle.com/settings/api, save "
            "it as ~/.kaggle/access_token or set KAGGLE_API_TOKEN to it (or: kaggle auth login), and run this again."
        ) from None
    theirs = api.get_config_value("username")
    if user and theirs and theirs.lower() != user.lower():
        raise KitError(f"this was built for {user}, but the credentials are those of {theirs}; build it for {theirs}.")
    return api


def push(folder, *, start=KIT, seconds=30.0):
    """Send the dataset and the notebooks in their order, each when the one before has run to its end.

    Parameters
    ----------
    folder : path-like
        As `build.build_folders` made it.
    start : str
        Leave out what comes before this part: 'kit', '01_spleeter', …. What runs already is waited for.
    seconds : float
        Between two looks at what runs.

    Raises
    ------
    KitError
        If the folder was not built, the client or Kaggle refuses something, or a notebook fails there.
    """
    folder = Path(folder)
    parts = (KIT, *NOTEBOOKS)
    if start not in parts:
        raise KitError(f"there is no part {start!r}; choose one of {', '.join(parts)}.")
    api = connect(_owner(folder))
    first = parts.index(start)
    if first > 1:
        with _sentences(parts[first - 1]):
            wait_if_it_runs(api, _reference(folder / parts[first - 1]), seconds)
    for part in parts[first:]:
        with _sentences(part):
            if part == KIT:
                _send_kit(api, folder / part, seconds)
            elif not (part == start and wait_if_it_runs(api, _reference(folder / part), seconds)):
                _send_notebook(api, folder / part, seconds)


def resume(folder, *, seconds=30.0):
    """Send the training notebook again, with what its last version left attached, so that it goes on from there."""
    folder = Path(folder)
    api = connect(_owner(folder))
    with _sentences(TRAINING):
        wait_if_it_runs(api, _reference(folder / TRAINING), seconds)
        attach_own_output(folder / TRAINING)
        _send_notebook(api, folder / TRAINING, seconds)
    say("its output says how many members are finished; with all of them there, go on with")
    say(f"python -m snippetkit kaggle push --from {PREDICTION}")


def fetch(folder, target):
    """Fetch submission, report and figures of the last notebook, and all four notebooks as Kaggle gives them out.

    Parameters
    ----------
    folder : path-like
        As `build.build_folders` made it.
    target : path-like

    Returns
    -------
    list of Path
        What was fetched.

    Raises
    ------
    KitError
        If there is nothing there, or Kaggle refuses.
    """
    folder, target = Path(folder), Path(target)
    user = _owner(folder)
    api = connect(user)
    with _sentences(PREDICTION):
        fetched, _ = api.kernels_output(f"{user}/{slug(PREDICTION)}", str(target), file_pattern=_RESULTS, force=True)
    paths = [Path(path) for path in fetched if not path.endswith(".log")]
    if target / "submission.csv" not in paths:
        raise KitError(f"{slug(PREDICTION)} has left no submission.csv; look at its log on Kaggle.")
    for name in NOTEBOOKS:
        with _sentences(name):
            pulled = Path(api.kernels_pull(f"{user}/{slug(name)}", str(target / "notebooks")))
            paths.append(Path(shutil.move(pulled, target / "notebooks" / f"{name}.ipynb")))
            notebook = nbformat.read(paths[-1], as_version=4)
        if not any(cell.get("outputs") for cell in notebook.cells):
            say(f"{paths[-1]} came without what its cells put out; look at it on Kaggle")
    return paths


def _owner(folder):
    return _reference(folder / KIT).split("/")[0]


def _reference(part):
    """What a built part is called on Kaggle: ``owner/name``."""
    path = part / ("dataset-metadata.json" if part.name == KIT else "kernel-metadata.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))["id"]
    except OSError:
        where = part.parent.resolve()
        raise KitError(f"{where} holds nothing that was built for Kaggle; run kaggle build first.") from None


def _send_kit(api, folder, seconds):
    reference = _reference(folder)
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise KitError(f"{folder} does not hold one wheel; run kaggle build again.")
    version = _version(api, reference)
    if version:
        answer = api.dataset_create_version(str(folder), wheels[0].name, quiet=True)
    else:
        answer = api.dataset_create_new(str(folder), quiet=True)
    if answer is None or (answer.status or "").lower() != "ok":
        raise KitError(f"Kaggle did not take the dataset {reference}: {getattr(answer, 'error', None) or 'no reason'}.")
    say(f"dataset {reference}: sent with {wheels[0].name}")

    def look():
        # of the version before it is said that it is ready, until the new one is there
        status = api.dataset_status(reference)
        return ("pending" if status in DONE and _version(api, reference) == version else status), None

    wait(look, f"dataset {reference}", seconds)


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
        raise KitError(f"Kaggle did not take {reference}: {getattr(answer, 'error', None) or 'no reason'}.")
    if reference in (answer.invalid_kernel_sources or []):
        say(f"{reference}: no version of it has left anything yet, so it starts anew")
    for kind in ("dataset", "competition", "kernel"):
        refused = [each for each in getattr(answer, f"invalid_{kind}_sources") or [] if each != reference]
        if refused:
            raise KitError(
                f"{reference} runs on Kaggle without its data: no {kind} {', '.join(refused)}. "
                "Stop it there, and build with the right name; a competition's rules must have been accepted."
            )
    say(f"{reference}: sent, {answer.url}")
    wait_for_notebook(api, reference, seconds, sent_now=True)


@contextlib.contextmanager
def _sentences(part):
    """What the client says of wrong metadata, a refusal or a broken connection, as a sentence that names the part."""
    import requests

    try:
        yield
    except requests.HTTPError as error:
        raise KitError(f"Kaggle refused {part}: {error}") from error
    except (requests.RequestException, ValueError) as error:
        raise KitError(f"{part} could not be sent or fetched: {error}") from error
