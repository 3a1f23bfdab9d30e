"""What is built for Kaggle, and the official client that sends it, against a service on loopback."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import kaggle_service
import kaggle_sessions
import nbformat
import pytest

from snippetkit.kaggle import build
from snippetkit.run.pipeline import NOTEBOOKS
from snippetkit.utils.errors import KitError

NAMES = list(NOTEBOOKS)
KERNELS = [f"somebody/snippetkit-{name.replace('_', '-')}" for name in NOTEBOOKS]


def kit(*arguments, home, **environment):
    environment = {
        **os.environ, "HOME": str(home), "KAGGLE_API_TOKEN": kaggle_service.TOKEN, "NO_PROXY": "127.0.0.1",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-m", "snippetkit", "kaggle", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, cwd=home, env={k: v for k, v in environment.items() if v},
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kaggle")
    result = kit(
        "build", "--user", "somebody", "--competition", "singers", "--dataset", "somebody/weights", "--build", "build",
        "--recipe", "best", "--members", 3, "--set", "separator=none", home=folder,
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def copied(built, tmp_path):
    shutil.copytree(built / "build", tmp_path / "build")
    return tmp_path


@pytest.fixture
def service(monkeypatch):
    pytest.importorskip("kagglesdk", reason="the official client is not installed")
    with kaggle_service.serving() as service:
        monkeypatch.setenv("KAGGLE_LOOPBACK", service.address)
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent / "kaggle_loopback"))
        yield service


def push(home, *arguments, **environment):
    return kit("push", "--build", "build", "--every", 0.01, *arguments, home=home, **environment)


# --- what is built ---


def test_the_wheel_holds_the_kit_and_needs_what_kaggle_has(built):
    (wheel,) = (built / "build" / "kit").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = [archive.read(name).decode() for name in names if name.endswith("METADATA")]
    assert {"snippetkit/recipe.py", "snippetkit/songs/table.py", "snippetkit/vocals/unet.py"} <= set(names)
    assert not [name for name in names if name.startswith(("tests", "notebooks", "kaggle"))]
    assert "Requires-Dist: torch>=2.6" in metadata and "==" not in "".join(re.findall("Requires-Dist.*", metadata))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_installs_the_kit_and_knows_its_parameters(built, name):
    notebook = nbformat.read(built / "build" / name / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "--no-index" in code[0].source and "--no-deps" in code[0].source
    values = {}
    for cell in code[1:3]:
        exec(cell.source, values)
    expected = {"recipe": "best", "settings": "separator=none", "members": 3, "on_bad": "fail"}
    assert {key: values[key] for key in expected if key in NOTEBOOKS[name]} == {
        key: value for key, value in expected.items() if key in NOTEBOOKS[name]
    }


def test_each_notebook_finds_what_the_one_before_left(built):
    metadata = [json.loads((built / "build" / name / "kernel-metadata.json").read_text()) for name in NOTEBOOKS]
    assert [each["id"] for each in metadata] == KERNELS
    assert [each["kernel_sources"] for each in metadata] == [[], *([each] for each in KERNELS[:-1])]
    assert [each["enable_gpu"] for each in metadata] == [False, False, True, False]
    assert [each["machine_shape"] for each in metadata] == [None, None, "NvidiaTeslaT4", None]
    assert not any(each["enable_internet"] for each in metadata), "nothing is separated, so nothing is downloaded"
    assert all(each["dataset_sources"] == ["somebody/snippetkit", "somebody/weights"] for each in metadata)
    assert all(each["competition_sources"] == ["singers"] for each in metadata)


def test_a_competition_may_be_given_by_its_address(tmp_path):
    build.build_folders(tmp_path, user="somebody", competition="https://www.kaggle.com/competitions/singers/")
    metadata = json.loads((tmp_path / "01_spleeter" / "kernel-metadata.json").read_text())
    assert metadata["competition_sources"] == ["singers"]


@pytest.mark.parametrize("internet", [True, False])
def test_only_the_separation_may_download_weights(tmp_path, internet):
    build.build_folders(tmp_path, user="somebody", competition="singers", internet=internet)
    metadata = [json.loads((tmp_path / name / "kernel-metadata.json").read_text()) for name in NOTEBOOKS]
    assert [each["enable_internet"] for each in metadata] == [internet, False, False, False]
    assert [each["enable_gpu"] for each in metadata] == [True, False, True, False]


@pytest.mark.parametrize("names, sentence", [
    ({"user": "some body", "competition": "singers"}, "'some body' is not a user name on Kaggle"),
    ({"user": "somebody", "competition": "the singers"}, "is not a competition"),
    ({"user": "somebody", "datasets": ["weights"]}, "'weights' is not a dataset. Give owner and name"),
    ({"user": "somebody"}, "no data would be attached"),
])
def test_a_wrong_name_is_a_sentence(tmp_path, names, sentence):
    with pytest.raises(KitError, match=re.escape(sentence)):
        build.build_folders(tmp_path, **names)


def test_a_wrong_choice_is_known_before_it_is_sent(tmp_path):
    result = kit("build", "--user", "a", "--competition", "b", "--set", "modle=cnn3", home=tmp_path)
    assert result.returncode == 1 and "did you mean model?" in result.stderr


# --- sent by the real client ---


def test_everything_is_sent_in_its_order(copied, service):
    result = push(copied)
    assert result.returncode == 0, result.stderr
    assert service.order == ["somebody/snippetkit", *KERNELS]
    (upload,) = service.uploads.values()
    assert "snippetkit/recipe.py" in zipfile.ZipFile(io.BytesIO(upload)).namelist()
    ensemble = service.kernels[KERNELS[2]][0]
    assert ensemble["enableGpu"] and ensemble["machineShape"] == "NvidiaTeslaT4" and not ensemble["enableInternet"]
    assert ensemble["isPrivate"] and ensemble["kernelDataSources"] == [KERNELS[1]]
    assert ensemble["competitionDataSources"] == ["singers"]
    notebook = nbformat.reads(ensemble["text"], as_version=4)
    assert any("train_ensemble(" in cell.source for cell in notebook.cells)
    for kernel in KERNELS:
        assert [line for line in result.stderr.splitlines() if line.startswith(f"{kernel}: ")] == [
            f"{kernel}: sent, https://example.org/{kernel}",
            f"{kernel}: queued", f"{kernel}: running", f"{kernel}: complete",
        ]
    # a second time the dataset gets a version, and one may begin in the middle
    assert push(copied).returncode == 0
    first, second = service.datasets["somebody/snippetkit"]
    assert "title" in first and second["body"]["versionNotes"].endswith(".whl")
    assert push(copied, "--from", "04_predict").returncode == 0
    assert service.order[-1] == KERNELS[3] and len(service.order) == 11


@pytest.mark.slow
def test_a_notebook_that_fails_stops_the_rest(copied, service):
    service.statuses[KERNELS[1]] = ["RUNNING", "ERROR"]
    service.failures[KERNELS[1]] = "Your notebook tried to allocate more memory than is available."
    result = push(copied)
    assert result.returncode == 1 and service.order[-1] == KERNELS[1]
    assert result.stderr.splitlines()[-1] == (
        f"Error: {KERNELS[1]} ended as error: Your notebook tried to allocate more memory than is available.; "
        "see its log on Kaggle."
    )


@pytest.mark.slow
def test_the_end_of_the_version_before_is_not_taken_for_that_of_the_new_one(copied, service):
    service.statuses[KERNELS[3]] = ["COMPLETE", "COMPLETE", "QUEUED", "RUNNING", "ERROR"]
    assert push(copied, "--from", "04_predict").returncode == 1
    service.statuses[KERNELS[3]] = ["COMPLETE"]     # it was over before anyone looked
    assert push(copied, "--from", "04_predict").returncode == 0


@pytest.mark.slow
def test_lost_contact_is_found_again(copied, service):
    service.faults = [500, 429, 503]
    assert push(copied, "--from", "04_predict").returncode == 0
    assert service.faults == []
    service.faults = [400]
    result = push(copied, "--from", "04_predict")
    assert result.returncode == 1 and "Kaggle refused 03_train_ensemble" in result.stderr


@pytest.mark.slow
def test_what_runs_already_is_waited_for_and_not_sent_again(copied, service):
    service.statuses[KERNELS[2]] = ["QUEUED"]
    waiting = subprocess.Popen(
        [
            sys.executable, "-m", "snippetkit", "kaggle", "push",
            "--build", "build", "--every", "0.01", "--from", NAMES[2],
        ],
        cwd=copied, env={**os.environ, "HOME": str(copied), "KAGGLE_API_TOKEN": kaggle_service.TOKEN},
        stderr=subprocess.PIPE, text=True,
    )
    for line in waiting.stderr:
        if line.startswith(f"{KERNELS[2]}: queued"):
            break
    waiting.kill()  # the person's own computer fell asleep
    waiting.wait()
    service._left[KERNELS[2]] = ["RUNNING", "RUNNING", "COMPLETE"]
    result = push(copied, "--from", NAMES[2])
    assert result.returncode == 0 and f"{KERNELS[2]} is still running" in result.stderr
    assert service.order == [KERNELS[2], KERNELS[3]]
    service._left[KERNELS[2]] = ["RUNNING", "RUNNING", "COMPLETE"]
    result = push(copied, "--from", NAMES[3])
    assert result.returncode == 0 and f"{KERNELS[2]} is still running" in result.stderr
    assert service.order[2:] == [KERNELS[3]]


@pytest.mark.slow
def test_a_training_that_left_nothing_starts_anew(copied, service):
    service.refused[KERNELS[2]] = {"invalidKernelSources": [KERNELS[2]]}
    result = kit("resume", "--build", "build", "--every", 0.01, home=copied)
    assert result.returncode == 0 and "none of its versions has an output yet" in result.stderr


@pytest.mark.slow
def test_data_that_kaggle_does_not_know_are_a_sentence(copied, service):
    service.refused[KERNELS[0]] = {"invalidCompetitionSources": ["singers"]}
    result = push(copied)
    assert result.returncode == 1 and "there is no competition singers" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_the_client_itself_checks_the_metadata(copied, service):
    path = copied / "build" / "01_spleeter" / "kernel-metadata.json"
    path.write_text(path.read_text().replace('"python"', '"pascal"'))
    result = push(copied)
    assert result.returncode == 1 and "01_spleeter could not be sent" in result.stderr
    assert "A valid language must be specified" in result.stderr and "Traceback" not in result.stderr


@pytest.mark.slow
def test_training_goes_on_from_its_own_output(copied, service):
    assert push(copied).returncode == 0
    result = kit("resume", "--build", "build", "--every", 0.01, home=copied)
    assert result.returncode == 0, result.stderr
    assert service.order[-1] == KERNELS[2]
    assert service.kernels[KERNELS[2]][-1]["kernelDataSources"] == [KERNELS[1], KERNELS[2]]
    assert "python -m snippetkit kaggle push --from 04_predict" in result.stderr
    assert kit("resume", "--build", "build", "--every", 0.01, home=copied).returncode == 0
    assert service.kernels[KERNELS[2]][-1]["kernelDataSources"] == [KERNELS[1], KERNELS[2]]


@pytest.mark.slow
def test_results_are_fetched(copied, service):
    assert push(copied).returncode == 0
    service.outputs[KERNELS[3]] = {
        "submission.csv": b"id,category\n0,1\n", "report.json": b"{}", "figures/confusion.png": b"png",
        "members/member_00/last.pt": b"gigabytes",
    }
    result = kit("fetch", "--build", "build", "--out", "here", home=copied)
    assert result.returncode == 0, result.stderr
    fetched = {str(path.relative_to(copied / "here")) for path in (copied / "here").rglob("*") if path.is_file()}
    notebooks = {f"notebooks/{name}.ipynb" for name in NOTEBOOKS}
    assert fetched - {"snippetkit-04-predict.log"} == {
        "submission.csv", "report.json", "figures/confusion.png", *notebooks,
    }
    assert "came without the outputs of its cells" in result.stderr   # nothing ran on the service that plays Kaggle
    assert (copied / "here" / "submission.csv").read_bytes() == b"id,category\n0,1\n"
    del service.outputs[KERNELS[3]]["submission.csv"]
    result = kit("fetch", "--build", "build", "--out", "there", home=copied)
    assert result.returncode == 1 and "has no submission.csv in its output" in result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["push", "resume", "fetch"])
def test_without_credentials_it_is_one_sentence(copied, service, command):
    result = kit(command, "--build", "build", home=copied, KAGGLE_API_TOKEN="")
    assert result.returncode == 1 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: there are no valid credentials for Kaggle. Generate a token at https://")
    assert service.order == []


@pytest.mark.slow
def test_a_token_that_is_no_good_is_one_sentence(copied, service):
    result = push(copied, KAGGLE_API_TOKEN="another-token")
    assert result.returncode == 1 and "Traceback" not in result.stderr and service.order == []
    assert "Error: " in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.slow
def test_somebody_elses_credentials_are_refused(copied, service):
    path = copied / "build" / "kit" / "dataset-metadata.json"
    path.write_text(path.read_text().replace("somebody", "another"))
    result = push(copied)
    assert result.returncode == 1 and "built for another, but the credentials are those of somebody" in result.stderr


@pytest.mark.slow
def test_a_service_that_cannot_be_reached_is_a_sentence(copied, service, monkeypatch):
    monkeypatch.setenv("KAGGLE_LOOPBACK", "http://127.0.0.1:9")
    result = push(copied)
    assert result.returncode == 1 and "Error: Kaggle cannot be reached" in result.stderr
    assert "Traceback" not in result.stderr


def test_without_a_build_it_is_a_sentence(copied, service):
    result = push(copied / "build")
    assert result.returncode == 1 and "contains no build for Kaggle. Run kaggle build first" in result.stderr
    (copied / "build" / "04_predict" / "kernel-metadata.json").unlink()
    result = push(copied, "--from", "04_predict")
    assert result.returncode == 1 and "Traceback" not in result.stderr
    result = push(copied, "--from", "05")
    assert result.returncode == 1 and "no part '05'. Choose one of kit, 01_spleeter" in result.stderr


# --- run as Kaggle runs it ---


PARAMETERS = {"settings": "separator=none model=cnn3 batch_size=8", "members": 2, "epochs": 2}


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory):
    """An environment with everything that this one has, but for the kit."""
    folder = tmp_path_factory.mktemp("environment")
    python = kaggle_sessions.environment(folder, sys.executable)
    (site,) = folder.glob("lib/python*/site-packages")
    # its packages, not its .pth files: one of those is the kit's own
    (site / "packages.pth").write_text(sysconfig.get_path("purelib") + "\n")
    missing = subprocess.run([python, "-c", "import snippetkit"], capture_output=True, cwd=folder)
    assert missing.returncode, "the kit is there already"
    return python


@pytest.mark.slow
@pytest.mark.parametrize("runner", kaggle_sessions.RUNNERS)
def test_the_built_notebooks_run_each_in_its_own_session(bare_python, runner, small_demo, tmp_path):
    build.build_folders(tmp_path / "build", user="somebody", competition="singers", parameters=PARAMETERS)
    working = kaggle_sessions.run_all(bare_python, runner, tmp_path / "build", small_demo, tmp_path)
    last = working["04_predict"]
    assert (last / "submission.csv").read_text().count("\n") == 9
    assert not list(last.glob("members/*/last.pt")), "the last notebook needs no weights"
    executed = (tmp_path / "02_features" / "executed.ipynb").read_text()
    assert "installed" in executed and "of earlier sessions from" in executed and "checking clips" not in executed
    if runner == "papermill":   # and what a session could not finish, the next one does
        _more_members(bare_python, tmp_path, small_demo, working)


def _more_members(python, folder, data, working):
    parameters = {**PARAMETERS, "members": 3}
    build.build_folders(folder / "again", user="somebody", competition="singers", parameters=parameters)
    name = "03_train_ensemble"
    earlier = (working["02_features"], working[name])
    after = kaggle_sessions.run_session(python, "papermill", folder / "again", name, data, folder / "resumed", earlier)
    assert sorted(path.parent.name for path in after.glob("members/*/done.json")) == [f"member_0{i}" for i in range(3)]
    for i in range(2):
        before, now = (each / "members" / f"member_0{i}" / "done.json" for each in (working[name], after))
        assert before.read_bytes() == now.read_bytes(), "trained again"
