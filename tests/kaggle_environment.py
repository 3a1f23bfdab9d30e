"""Run the built notebooks in an environment with Kaggle's versions: python tests/kaggle_environment.py FOLDER.

FOLDER gets the environment, the demo and the sessions; it takes some 8 GB, most of it torch with CUDA.
"""

import shutil
import subprocess
from pathlib import Path

import click
import nbformat
import pandas as pd
from kaggle_sessions import RUNNERS, environment, run_all

from snippetkit.data import demo
from snippetkit.kaggle.build import PREDICTION, build_folders
from snippetkit.run.pipeline import NOTEBOOKS

# What Kaggle's image has, as far as the kit needs it; the others are what pip resolves beside these.
PACKAGES = (
    "torch==2.10.*", "torchvision==0.25.*", "numpy==2.0.2", "pandas==2.2.2", "librosa==0.11.0", "soundfile==0.13.1",
    "soxr==1.0.*", "scikit-learn==1.6.1", "click==8.3.*", "tqdm==4.67.*", "papermill==2.7.*", "nbconvert==6.4.5",
    "nbclient==0.5.13", "ipykernel==6.17.*", "matplotlib", "scipy", "joblib", "google-crc32c", "pooch", "platformdirs",
    "filelock",
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--python", default="python3.12", show_default=True, help="The Python to make the environment with.")
def main(folder, python):
    folder = folder.resolve()
    inside = folder / "environment" / "bin" / "python"
    if not (folder / "complete").exists():
        environment(folder / "environment", python, PACKAGES)
        (folder / "complete").touch()
    found = subprocess.run([inside, "-m", "pip", "list", "--format=freeze"], capture_output=True, text=True, check=True)
    wanted = {each.split("==")[0] for each in PACKAGES}
    click.echo(" ".join(line for line in found.stdout.splitlines() if line.split("==")[0].lower() in wanted))
    data = demo.make(folder / "competition", train=24, test=8)
    build_folders(folder / "build", user="somebody", competition="singers", parameters={
        "settings": "separator=none model=cnn3 batch_size=8", "members": 2, "epochs": 2,
    })
    for runner in RUNNERS:
        shutil.rmtree(folder / runner, ignore_errors=True)
        working = run_all(inside, runner, folder / "build", data, folder / runner)[PREDICTION]
        rows = pd.read_csv(working / "submission.csv")
        for name in NOTEBOOKS:
            executed = nbformat.read(folder / runner / name / "executed.ipynb", as_version=4)
            cells = [cell for cell in executed.cells if cell.cell_type == "code"]
            click.echo(f"{runner}: {name}, {len(cells)} cells run")
        click.echo(f"{runner}: {working / 'submission.csv'} with {len(rows)} rows")


if __name__ == "__main__":
    main()
