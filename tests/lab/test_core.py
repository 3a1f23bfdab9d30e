"""The core works without the lab and without the packages that only the lab needs."""

import subprocess
import sys

# Imports every module except programs, lists the commands, and builds a model of the lab.
PROGRAM = """
import importlib, pkgutil, sys, snippetkit
# Importing these now fails. (An editable install would find the lab even if its folder were missing in a copy.)
sys.modules.update(dict.fromkeys(("av", "gradio", "snippetkit.lab")))
for module in pkgutil.walk_packages(snippetkit.__path__, "snippetkit."):
    if not module.name.startswith("snippetkit.lab") and not module.name.endswith(("__main__", "spleeter_worker")):
        importlib.import_module(module.name)
from snippetkit import models, recipe, utils
from snippetkit.__main__ import main
print(*main.commands)
try:
    models.build(recipe.Recipe(model="lab.crnn").model, classes=4, dropout=0.2)
except utils.errors.KitError as error:
    print(error)
"""


def test_the_core_works_without_the_lab():
    result = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    commands, message = result.stdout.splitlines()
    assert "compare" in commands.split() and not {"app", "identify"} & set(commands.split())
    assert message.startswith("model 'lab.crnn' cannot be imported (") and message.endswith("Install it again.")
