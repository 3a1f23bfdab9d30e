"""Run the built notebooks in an environment with Kaggle's versions: python tests/kaggle_environment.py FOLDER.

FOLDER gets the environment, the demo and the sessions; it takes some 8 GB, most of it torch with CUDA.
"""

import shutil
import subprocess
from pathlib import Path

import click
import pandas as pd
from kaggle_sessions import PARAMETERS, RUNNERS, create_environment, run_all

from snippetkit.data import demo
from snippetkit.kaggle.build import PREDICTION, build_folders

# What Kaggle's image has, as far as the kit needs it; the others are what pip resolves beside these.
PACKAGES = (
    "torch==2.10.*", "torchvision==0.25.*", "numpy==2.0.2", "pandas==2.2.2", "librosa==0.11.0", "soundfile==0.13.1",
    "soxr==1.0.*", "scikit-learn==1.6.1", "click==8.3.*", "tqdm==4.67.*", "papermill==2.7.*", "nbconvert==6.4.5",
    "nbclient==0.5.13", "ipykernel==6.17.*", "matplotlib", "scipy", "joblib", "google-crc32c", "pooch", "platformdirs",
    "filelock", "safetensors",
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--python", default="python3.12", show_default=True, help="The Python to make the environment with.")
def main(folder, python):
    folder = folder.resolve()
    inside = folder / "environment" / "bin" / "python"
    if not (folder / "complete").exists():
        create_environment(folder / "environment", python, PACKAGES)
        (folder / "complete").touch()
    subprocess.run([inside, "-m", "pip", "list"], check=True)
    data = demo.make(folder / "competition", train=24, test=8)
    build_folders(folder / "build", user="somebody", competition="singers", parameters=PARAMETERS)
    for runner in RUNNERS:
        shutil.rmtree(folder / runner, ignore_errors=True)
        working = run_all(inside, runner, folder / "build", data, folder / runner)[PREDICTION]
        rows = pd.read_csv(working / "submission.csv")
        click.echo(f"{runner}: all notebooks ran, {working / 'submission.csv'} with {len(rows)} rows")


if __name__ == "__main__":
    main()
