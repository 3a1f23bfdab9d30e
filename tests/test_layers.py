"""The layers in pyproject.toml, checked by import-linter."""

import subprocess
import sys
from pathlib import Path

from snippetkit.utils.paths import project_folder


def test_imports_run_downward_and_the_core_never_imports_the_lab():
    command = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run([command, "--no-cache"], capture_output=True, text=True, cwd=project_folder())
    assert result.returncode == 0, result.stdout
