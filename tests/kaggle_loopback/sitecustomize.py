"""Python runs this at its start where this folder is on its path: the official client then goes to another address.

Nothing else of the client is touched. It has an address for tests of its own, but no way to ask for it.
"""

import os

from kagglesdk import kaggle_env

kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = os.environ["KAGGLE_LOOPBACK"]
