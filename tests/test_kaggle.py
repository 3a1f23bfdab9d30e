"""What is built for Kaggle, and the official client that sends it to a service on loopback."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import kaggle_service
import kaggle_sessions
import nbformat
import psutil
import pytest
from conftest import run_kit, wait_for

from snippetkit.kaggle import build, client, single
from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.utils.errors import KitError
from snippetkit.vocals import checkpoint
from snippetkit.vocals.weights import SPLEETER

KERNELS = [f"somebody/snippetkit-{name.replace('_', '-')}" for name in NOTEBOOKS]


def metadata_of(folder, key):
    """The value of a key in the metadata of each notebook."""
    return [json.loads((folder / name / "kernel-metadata.json").read_text())[key] for name in NOTEBOOKS]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kaggle") / "build"
    address = "https://www.kaggle.com/competitions/singers/overview"
    result = run_kit(
        "kaggle", "build", "--user", "somebody", "--competition", address, "--dataset", "somebody/weights",
        "--build", folder, "--recipe", "best", "--members", 3, "--set", "separator=none",
        "--set", "classifiers=",
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def copied(built, tmp_path, monkeypatch):
    """A folder with the build, which is also the home of a user with valid credentials."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KAGGLE_API_TOKEN", kaggle_service.TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    shutil.copytree(built, tmp_path / "build")
    return tmp_path


@pytest.fixture
def service(monkeypatch):
    pytest.importorskip("kagglesdk", reason="the official client is not installed")
    with kaggle_service.serving() as service:
        monkeypatch.setenv("KAGGLE_LOOPBACK", service.address)
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "kaggle_loopback"), prepend=os.pathsep)
        yield service


def kit(folder, command, *arguments):
    """Run ``snippetkit kaggle`` with the build in this folder."""
    every = ["--every", 0.01] if command != "fetch" else []
    return run_kit("kaggle", command, "--build", "build", *every, *arguments, cwd=folder)


# --- what is built ---


def test_the_wheel_holds_the_kit_and_needs_what_kaggle_has(built):
    (wheel,) = (built / "kit").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [archive.read(name).decode() for name in names if name.endswith("METADATA")]
    assert {"snippetkit/recipe.py", "snippetkit/songs/table.py", "snippetkit/vocals/unet.py"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "notebooks", "kaggle"))]
    assert "Requires-Dist: torch>=2.6" in metadata and "==" not in "".join(re.findall("Requires-Dist.*", metadata))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_installs_the_kit_and_knows_its_parameters(built, name):
    notebook = nbformat.read(built / name / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    install, *cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "--no-index" in install and "--no-deps" in install
    values = {}
    exec("\n".join(cells[:2]), values)
    expected = {"recipe": "best", "settings": "separator=none classifiers=", "members": 3, "on_bad": "fail"}
    assert values.items() >= {key: value for key, value in expected.items() if key in NOTEBOOKS[name]}.items()


def test_each_notebook_finds_what_the_one_before_left(built):
    assert metadata_of(built, "id") == KERNELS
    assert metadata_of(built, "kernel_sources") == [[], *([kernel] for kernel in KERNELS[:-1])]
    assert metadata_of(built, "enable_gpu") == [False, False, True, False]
    assert metadata_of(built, "machine_shape") == [None, None, "NvidiaTeslaT4", None]
    assert not any(metadata_of(built, "enable_internet")), "nothing is separated, so nothing is downloaded"
    assert metadata_of(built, "dataset_sources") == [["somebody/snippetkit", "somebody/weights"]] * 4
    assert metadata_of(built, "competition_sources") == [["singers"]] * 4


@pytest.mark.parametrize("internet", [True, False])
def test_only_the_separation_may_download_weights(tmp_path, internet):
    build.build_folders(tmp_path, user="somebody", competition="singers", internet=internet)
    assert metadata_of(tmp_path, "enable_internet") == [internet, False, False, False]
    assert metadata_of(tmp_path, "enable_gpu") == [True, False, True, False]


@pytest.fixture
def own_weights(tmp_path):
    """Files of the right names."""
    folder = tmp_path / "own" / "2stems"
    folder.mkdir(parents=True)
    for name in SPLEETER.files:
        (folder / name).write_text(name)
    return folder


@pytest.mark.slow
def test_weights_are_a_dataset_of_their_own_and_nothing_is_downloaded(tmp_path, own_weights, monkeypatch):
    monkeypatch.setenv("MODEL_PATH", str(own_weights))
    command = [
        "kaggle", "build", "--user", "somebody", "--competition", "singers", "--build", tmp_path / "build",
        "--recipe", "published",
    ]
    parts = run_kit(*command, check=True).stdout.split()
    assert [Path(part).name for part in parts] == ["kit", "weights", *NOTEBOOKS]
    sent = tmp_path / "build" / "weights" / "spleeter-2stems"
    assert {path.name: path.read_text() for path in sent.iterdir()} == {name: name for name in SPLEETER.files}
    about = json.loads((sent.parent / "dataset-metadata.json").read_text())
    assert about["id"] == "somebody/snippetkit-weights" and about["title"] == "snippetkit-weights"
    attached = [["somebody/snippetkit", "somebody/snippetkit-weights"]] * 2 + [["somebody/snippetkit"]] * 2
    assert metadata_of(tmp_path / "build", "dataset_sources") == attached
    assert not any(metadata_of(tmp_path / "build", "enable_internet"))
    # without them, also in the folder of the earlier build
    parts = run_kit(*command, "--no-weights", check=True).stdout.split()
    assert [Path(part).name for part in parts] == ["kit", *NOTEBOOKS] and not sent.exists()
    assert metadata_of(tmp_path / "build", "enable_internet") == [True, False, False, False]


@pytest.mark.parametrize("address", [
    "titanic", "titanic/", "https://www.kaggle.com/competitions/titanic",
    "https://www.kaggle.com/competitions/titanic/overview", "https://www.kaggle.com/competitions/titanic/data/", "https://www.kaggle.com/c/titanic/leaderboard?tab=public#top",
    "kaggle.com/competitions/titanic/code", "http://www.kaggle.com/titanic", "https://www.kaggle.com/competitions/titanic?x=1",
])
def test_a_name_may_be_given_by_the_address_of_any_of_its_pages(address):
    assert build.without_address(address) == "titanic"


def test_addresses_of_datasets_and_of_users_are_accepted(tmp_path):
    address = "https://www.kaggle.com/datasets/somebody/weights/data?select=2stems"
    build.build_folders(tmp_path, user="https://www.kaggle.com/somebody/code", datasets=[address, "other/clips"])
    assert metadata_of(tmp_path, "dataset_sources") == [["somebody/snippetkit", "somebody/weights", "other/clips"]] * 4


@pytest.mark.parametrize("names, message", [
    ({"user": "some body", "competition": "singers"}, "'some body' is not a user name on Kaggle"),
    ({"user": "somebody", "competition": "the singers"}, "is not a competition"),
    ({"user": "somebody", "datasets": ["weights"]}, "'weights' is not a dataset. Give owner and name"),
    ({"user": "somebody"}, "no data would be attached"),
    ({"user": "somebody", "competition": "https://www.example.org/competitions/titanic"}, "is not a competition"),
    ({"user": "somebody", "datasets": ["https://www.kaggle.com/somebody"]}, "'somebody' is not a dataset"),
])
def test_a_wrong_name_is_refused(tmp_path, names, message):
    with pytest.raises(KitError, match=message):
        build.build_folders(tmp_path, **names)


def test_a_wrong_choice_is_refused_before_anything_is_built(tmp_path):
    result = run_kit("kaggle", "build", "--user", "a", "--competition", "b", "--set", "modle=cnn3", cwd=tmp_path)
    assert result.returncode == 1 and "did you mean model?" in result.stderr


@pytest.mark.parametrize("start, message", [
    ("kit", "contains no build for Kaggle. Run kaggle build first"),
    ("05", "no part '05'. Choose one of kit, weights, 01_spleeter"),
])
def test_a_missing_build_and_an_unknown_part_are_refused(tmp_path, start, message):
    with pytest.raises(KitError, match=message):
        client.push(tmp_path, start=start)


# --- sent by the real client ---


@pytest.mark.slow
def test_everything_is_sent_in_its_order(copied, service):
    result = kit(copied, "push")
    assert result.returncode == 0, result.stderr
    assert service.order == ["somebody/snippetkit", *KERNELS]
    (upload,) = service.uploads.values()
    assert "snippetkit/recipe.py" in zipfile.ZipFile(io.BytesIO(upload)).namelist()
    ensemble = service.kernels[KERNELS[2]][0]
    assert ensemble["enableGpu"] and ensemble["machineShape"] == "NvidiaTeslaT4" and not ensemble["enableInternet"]
    assert ensemble["isPrivate"] and ensemble["kernelDataSources"] == [KERNELS[1]]
    assert ensemble["competitionDataSources"] == ["singers"] and "train_kinds(" in ensemble["text"]
    for kernel in KERNELS:
        states = re.findall(f"^{kernel}: (.*)", result.stderr, re.MULTILINE)
        assert states == [f"sent, https://example.org/{kernel}", "queued", "running", "complete"]
    # The second time, the dataset gets a version. The first parts may be skipped.
    assert kit(copied, "push").returncode == 0
    first, second = service.datasets["somebody/snippetkit"]
    assert "title" in first and second["body"]["versionNotes"].endswith(".whl")
    assert kit(copied, "push", "--from", "04_predict").returncode == 0
    assert service.order[-1] == KERNELS[3] and len(service.order) == 11


@pytest.mark.slow
def test_weights_are_sent_once_and_again_when_they_changed(copied, service, own_weights):
    def push():
        result = kit(copied, "push")
        assert result.returncode == 0, result.stderr
        return service.order.count("somebody/snippetkit-weights"), result.stderr

    def build_again():
        build.build_folders(copied / "build", user="somebody", competition="singers", weights={"2stems": own_weights})

    build_again()
    count, output = push()
    assert count == 1 and service.order[:2] == ["somebody/snippetkit", "somebody/snippetkit-weights"]
    assert "dataset somebody/snippetkit-weights: sent with 2stems\n" in output
    upload = next(data for token, data in service.uploads.items() if "2stems" in token)
    archive = zipfile.ZipFile(io.BytesIO(upload))
    assert {name: archive.read(name).decode() for name in archive.namelist()} == {name: name for name in SPLEETER.files}
    build_again()
    count, output = push()
    assert count == 1 and "dataset somebody/snippetkit-weights: there already\n" in output
    (own_weights / "model.index").write_text("another")
    build_again()
    assert push()[0] == 2
    service.datasets["somebody/snippetkit-weights"].append({})  # a version that another computer sent
    assert push()[0] == 3


@pytest.mark.slow
def test_a_notebook_that_fails_stops_the_rest(copied, service):
    service.statuses[KERNELS[1]] = ["RUNNING", "ERROR"]
    service.failures[KERNELS[1]] = "too little memory"
    result = kit(copied, "push")
    assert result.returncode == 1 and service.order[-1] == KERNELS[1]
    assert result.stderr.endswith(f"Error: {KERNELS[1]} ended as error: too little memory; see its log on Kaggle.\n")


@pytest.mark.slow
@pytest.mark.parametrize("statuses, status", [
    (["COMPLETE", "COMPLETE", "QUEUED", "RUNNING", "ERROR"], 1),
    (["COMPLETE"], 0),      # it was complete before the first request
])
def test_the_status_of_the_version_before_is_ignored(copied, service, statuses, status):
    service.statuses[KERNELS[3]] = statuses
    assert kit(copied, "push", "--from", "04_predict").returncode == status


@pytest.mark.slow
def test_temporary_faults_are_waited_for_and_others_are_reported(copied, service):
    service.faults = [500, 429, 503]
    assert kit(copied, "push", "--from", "04_predict").returncode == 0
    assert service.faults == []
    service.faults = [400]
    result = kit(copied, "push", "--from", "04_predict")
    assert result.returncode == 1 and "Kaggle refused 03_train_ensemble" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("start", ["03_train_ensemble", "04_predict"])
def test_a_running_notebook_is_waited_for_and_not_sent_again(copied, service, start):
    service.remaining[KERNELS[2]] = ["QUEUED", "RUNNING", "COMPLETE"]
    result = kit(copied, "push", "--from", start)
    assert result.returncode == 0 and f"{KERNELS[2]} is still running" in result.stderr
    assert f"{KERNELS[2]}: complete" in result.stderr and service.order == [KERNELS[3]]


@pytest.mark.slow
def test_training_continues_from_its_own_output(copied, service):
    for _ in range(2):      # its output is attached once
        result = kit(copied, "resume")
        assert result.returncode == 0, result.stderr
        assert "python -m snippetkit kaggle push --from 04_predict" in result.stderr
        assert service.kernels[KERNELS[2]][-1]["kernelDataSources"] == [KERNELS[1], KERNELS[2]]
    assert service.order == [KERNELS[2]] * 2
    service.refused[KERNELS[2]] = {"invalidKernelSources": [KERNELS[2]]}
    result = kit(copied, "resume")
    assert result.returncode == 0 and "none of its versions has an output yet" in result.stderr


@pytest.mark.slow
def test_results_are_fetched(copied, service):
    assert kit(copied, "push").returncode == 0
    service.outputs[KERNELS[3]] = {
        "submission.csv": b"id,category\n0,1\n", "report.json": b"{}", "test_scores.csv": b"id,probability_0\n0,1.0\n",
        "figures/confusion.png": b"png",
        "members/member_00/weights.safetensors": b"gigabytes",
    }
    result = kit(copied, "fetch", "--out", "results")
    assert result.returncode == 0, result.stderr
    results = copied / "results"
    fetched = {str(path.relative_to(results)) for path in results.rglob("*.*")} - {"snippetkit-04-predict.log"}
    notebooks = {f"notebooks/{name}.ipynb" for name in NOTEBOOKS}
    assert fetched == {"submission.csv", "report.json", "test_scores.csv", "figures/confusion.png", *notebooks}
    assert "came without the outputs of its cells" in result.stderr     # the service runs nothing
    assert (results / "submission.csv").read_bytes() == b"id,category\n0,1\n"
    del service.outputs[KERNELS[3]]["submission.csv"]
    result = kit(copied, "fetch", "--out", "others")
    assert result.returncode == 1 and "has no submission.csv in its output" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command, token", [("push", ""), ("resume", ""), ("fetch", ""), ("push", "another-token")])
def test_without_valid_credentials_the_message_is_one_sentence(copied, service, monkeypatch, command, token):
    monkeypatch.setenv("KAGGLE_API_TOKEN", token)
    result = kit(copied, command)
    assert result.returncode == 1 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: there are no valid credentials for Kaggle. Generate a token at https://")
    assert service.order == []


def replace(path, old, new):
    path.write_text(path.read_text().replace(old, new))


FAULTS = {
    "Kaggle cannot be reached":
        lambda build, service, monkeypatch: monkeypatch.setenv("KAGGLE_LOOPBACK", "http://127.0.0.1:9"),
    "there is no competition singers":
        lambda build, service, _: service.refused.update({KERNELS[0]: {"invalidCompetitionSources": ["singers"]}}),
    "built for another, but the credentials are those of somebody":
        lambda build, *_: replace(build / "kit" / "dataset-metadata.json", "somebody", "another"),
    "01_spleeter could not be sent.*A valid language must be specified":
        lambda build, *_: replace(build / "01_spleeter" / "kernel-metadata.json", '"python"', '"pascal"'),
}


@pytest.mark.slow
@pytest.mark.parametrize("message", FAULTS)
def test_a_fault_is_named_without_a_traceback(copied, service, monkeypatch, message):
    FAULTS[message](copied / "build", service, monkeypatch)
    result = kit(copied, "push")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    assert re.search(f"(?s)Error: .*{message}", result.stderr)


# --- run as Kaggle runs it ---


@pytest.fixture(scope="module", params=["the installed packages", "Kaggle's packages"])
def bare_python(request, tmp_path_factory):
    """An environment without the kit, with the packages installed here or with those of ``KAGGLE_PYTHON``."""
    python = sys.executable
    if request.param != "the installed packages" and not (python := os.environ.get("KAGGLE_PYTHON")):
        pytest.skip("KAGGLE_PYTHON is not set: the Python of an environment with requirements-kaggle.txt")
    folder = tmp_path_factory.mktemp("environment")
    packages = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    python = kaggle_sessions.create_environment(folder, python)
    (site,) = folder.glob("lib/python*/site-packages")
    # Only the packages: one of the .pth files beside them is the kit's own.
    (site / "packages.pth").write_bytes(packages)
    missing = subprocess.run([python, "-E", "-c", "import snippetkit"], capture_output=True, cwd=folder)
    assert missing.returncode, "the kit is already installed"
    return python


@pytest.mark.slow
@pytest.mark.parametrize("runner", kaggle_sessions.RUNNERS)
def test_the_built_notebooks_run_each_in_its_own_session(bare_python, runner, small_demo, weights, tmp_path):
    choices = {"parameters": kaggle_sessions.PARAMETERS}
    if runner == "papermill":   # with the vocals, by the attached weights
        settings = kaggle_sessions.PARAMETERS["settings"].replace("separator=none ", "")
        choices["parameters"] = kaggle_sessions.PARAMETERS | {"settings": settings}
        choices["weights"] = {"spleeter-2stems": weights}
    build.build_folders(tmp_path / "build", user="somebody", competition="singers", **choices)
    working = kaggle_sessions.run_all(bare_python, runner, tmp_path / "build", small_demo, tmp_path)
    last = working["04_predict"]
    assert (last / "submission.csv").read_text().count("\n") == 9
    assert not list(last.glob("members/*/weights.safetensors")), "the last notebook needs no weights"
    executed = (tmp_path / "02_features" / "executed.ipynb").read_text()
    assert "installed" in executed and "of earlier sessions from" in executed and "checking clips" not in executed
    if runner == "papermill":   # another session trains the members that are missing
        vocals = json.loads((working["01_spleeter"] / "vocals" / "separation.json").read_text())
        assert vocals["made_by"]["weights"] == checkpoint.fingerprint(weights)
        _train_third_member(bare_python, tmp_path, small_demo, working, choices["parameters"])


def _train_third_member(python, folder, data, working, parameters):
    parameters = {**parameters, "members": 3}
    build.build_folders(folder / "again", user="somebody", competition="singers", parameters=parameters)
    name = "03_train_ensemble"
    earlier = (working["02_features"], working[name])
    after = kaggle_sessions.run_session(python, "papermill", folder / "again", name, data, folder / "resumed", earlier)
    before, now = (sorted(session.glob("members/*/done.json")) for session in (working[name], after))
    assert [path.parent.name for path in now] == ["member_00", "member_01", "member_02"]
    assert [path.read_bytes() for path in now[:2]] == [path.read_bytes() for path in before], "trained again"


@pytest.mark.slow
def test_the_single_notebook_continues_a_killed_member_and_uses_its_packed_vocals(
    bare_python, small_demo, weights, tmp_path
):
    settings = kaggle_sessions.PARAMETERS["settings"].replace("separator=none ", "")

    def start(name, earlier, members=2):
        choices = {**kaggle_sessions.PARAMETERS, "settings": settings, "members": members, "epochs": 12}
        notebook = single.build_notebook(tmp_path / f"{name}.ipynb", competition="singers", parameters=choices)
        attached = kaggle_sessions.attach(small_demo, tmp_path / name, earlier)
        shutil.copytree(weights, attached / "datasets" / "somebody" / "weights" / SPLEETER.name)
        return kaggle_sessions.start(bare_python, "nbconvert", notebook, tmp_path / name), tmp_path / name / "working"

    def finish(process, working):
        _, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        assert (working / "submission.csv").read_text().count("\n") == 9
        assert {path.name for path in (working / "vocals").iterdir()} >= {"train.zip", "test.zip"}
        text = nbformat.writes(nbformat.read(working.parent / "executed.ipynb", as_version=4))
        assert "of earlier sessions from" in text and "separating vocals" not in text
        return text

    process, first = start("first", ())
    finished, half = (first / "members" / name for name in ("member_00", "member_01"))
    try:
        wait_for(lambda: (half / "history.csv").exists() or process.poll() is not None, seconds=600)
    finally:
        for one in [*psutil.Process(process.pid).children(recursive=True), process]:    # first the kernel
            one.kill()
        _, errors = process.communicate()
    assert (half / "history.csv").exists(), errors[-3000:]
    assert not (half / "done.json").exists() and not (first / "submission.csv").exists()
    process, second = start("second", [first])
    text = finish(process, second)
    assert "<audio" in text and "member_01 continues after epoch" in text and "2 of 2 members are finished" in text
    assert (second / "members" / "member_00" / "done.json").read_bytes() == (finished / "done.json").read_bytes()
    # the seconds of an epoch are in its row: the epochs before were not trained again
    history = (half / "history.csv").read_text()
    assert (second / "members" / "member_01" / "history.csv").read_text().startswith(history)
    process, third = start("third", [second], members=3)
    text = finish(process, third)
    assert "3 of 3 members are finished" in text and "unpacking vocals of train" in text
    assert (third / "vocals" / "train.zip").stat().st_size == (second / "vocals" / "train.zip").stat().st_size


def test_the_single_notebook_has_each_parameter_once_and_says_what_to_do(tmp_path):
    address = "https://www.kaggle.com/c/singers/data"
    options = ["--competition", address, "--members", 3, "--out", tmp_path / "one.ipynb"]
    result = run_kit("kaggle", "notebook", *options)
    assert result.returncode == 0, result.stderr
    notebook = nbformat.read(tmp_path / "one.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert "https://www.kaggle.com/competitions/singers" in notebook.cells[0].source
    values = {}
    exec(notebook.cells[1].source + "\n" + notebook.cells[2].source, values)
    assert values["members"] == 3 and values["recipe"] == "best" and values["neighbours"] == 0.0
    names = [line.split(" = ")[0] for line in notebook.cells[1].source.splitlines()]
    assert len(names) == len(set(names)) and set(names) == {name for names in NOTEBOOKS.values() for name in names}
    assert (tmp_path / "one.ipynb").stat().st_size < 1e6


def test_a_notebook_of_another_name_is_refused(tmp_path):
    result = run_kit("kaggle", "notebook", "--out", tmp_path / "one.txt")
    assert result.returncode == 1 and "one.txt does not end in .ipynb" in result.stderr
