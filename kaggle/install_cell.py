# Install the kit, which is inside this cell. Kaggle has all other packages.
import base64
import subprocess
import sys
import tempfile
from pathlib import Path

WHEEL = "$wheel"

wheel = Path(tempfile.mkdtemp(), "$name")
wheel.write_bytes(base64.b64decode(WHEEL))
install = ["install", "--no-index", "--no-deps", "--force-reinstall", str(wheel)]
quiet = ["--quiet", "--root-user-action=ignore", "--disable-pip-version-check"]
subprocess.run([sys.executable, "-m", "pip", *install, *quiet], check=True)
print(wheel.name, "installed")
