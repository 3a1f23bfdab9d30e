# Install the kit, which is inside this cell.
import base64
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

WHEEL = "$wheel"

wheel = Path(tempfile.mkdtemp(), "$name")
wheel.write_bytes(base64.b64decode(WHEEL))
if importlib.util.find_spec("onnxruntime") is None:     # for one of the pretrained networks; needs internet
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "onnxruntime"])
install = ["install", "--no-index", "--no-deps", "--force-reinstall", str(wheel)]
quiet = ["--quiet", "--root-user-action=ignore", "--disable-pip-version-check"]
subprocess.run([sys.executable, "-m", "pip", *install, *quiet], check=True)
print(wheel.name, "installed")
