"""The core works without the lab and without the packages that only the lab needs."""

import subprocess
import sys

# The lab cannot be imported, as if its folder had been deleted.
WITHOUT_LAB = """
import importlib, pkgutil, sys, snippetkit
sys.modules.update(dict.fromkeys(("av", "gradio", "snippetkit.lab")))
"""

IMPORT_ALL = """
for module in pkgutil.walk_packages(snippetkit.__path__, "snippetkit.", onerror=lambda name: None):
    if not module.name.startswith("snippetkit.lab") and not module.name.endswith(("__main__", "spleeter_worker")):
        importlib.import_module(module.name)
"""

PLUGINS = """
from snippetkit import models
from snippetkit.__main__ import main
from snippetkit.recipe import Recipe
try:
    models.build(Recipe(model="lab.crnn").model, classes=4, dropout=0)
except models.KitError as error:
    print(error)
main(["--help"])
"""


def run_without_lab(code):
    return subprocess.run([sys.executable, "-c", WITHOUT_LAB + code], capture_output=True, text=True)


def test_the_core_imports_nothing_of_the_lab():
    result = run_without_lab(IMPORT_ALL)
    assert result.returncode == 0, result.stderr


def test_plugins_of_a_removed_package_are_left_out_or_named():
    result = run_without_lab(PLUGINS)
    assert result.returncode == 0, result.stderr
    assert "model 'lab.crnn' cannot be imported" in result.stdout
    assert "identify" not in result.stdout and "compare" in result.stdout
