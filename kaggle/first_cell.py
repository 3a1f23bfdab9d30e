# Install the kit from the attached dataset. Kaggle has all other packages.
import hashlib
import os
import subprocess
import sys
from pathlib import Path

attached = Path(os.environ.get("SNIPPETKIT_KAGGLE", "/kaggle")) / "input"
wheels = [wheel for wheel in attached.rglob("snippetkit-*.whl")
          if hashlib.sha256(wheel.read_bytes()).hexdigest() == "$sha256"]
if not wheels:
    raise FileNotFoundError(f"the wheel that this was built with is not below {attached}: "
                            "attach the newest version of the dataset snippetkit to this notebook")
install = ["install", "--no-index", "--no-deps", "--force-reinstall", str(wheels[0])]
quiet = ["--quiet", "--root-user-action=ignore", "--disable-pip-version-check"]
subprocess.run([sys.executable, "-m", "pip", *install, *quiet], check=True)
print(wheels[0].name, "installed")
