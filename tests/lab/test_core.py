"""The core does without the lab: without its folder, and without what only the lab takes."""

import os
import shutil
import subprocess
import sys

from snippetkit.utils.paths import project_folder

# Imports every module but those of the lab and those that are programs, and prints where from.
IMPORT_ALL = """
import importlib, pkgutil, sys, snippetkit
sys.modules.update(dict.fromkeys(("av", "gradio", "snippetkit.lab")))     # to import one of them fails now
for each in pkgutil.walk_packages(snippetkit.__path__, "snippetkit.", onerror=lambda name: None):
    if not each.name.startswith("snippetkit.lab") and not each.name.endswith(("__main__", "spleeter_worker")):
        importlib.import_module(each.name)
print(snippetkit.__path__[0])
"""


def test_without_its_folder_the_kit_is_as_it_was(tmp_path):
    without = shutil.copytree(
        project_folder() / "snippetkit", tmp_path / "snippetkit", ignore=shutil.ignore_patterns("lab")
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    options = {"capture_output": True, "text": True, "cwd": tmp_path, "env": environment}
    imported = subprocess.run([sys.executable, "-c", IMPORT_ALL], **options)
    assert imported.returncode == 0 and imported.stdout.strip() == str(without), imported.stderr
    answer = subprocess.run([sys.executable, "-m", "snippetkit", "--help"], **options)
    assert answer.returncode == 0 and "identify" not in answer.stdout and "compare" in answer.stdout


def test_the_core_imports_nothing_of_the_lab():
    imported = subprocess.run([sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True)
    assert imported.returncode == 0, imported.stderr
