"""Make weights in Spleeter's own format with the real package: its graph, every number of it random.

    SPLEETER_PYTHON tests/make_spleeter_checkpoint.py FOLDER

Run by the Python of the Spleeter environment. As in the released files there is a global step and no optimizer's state.
"""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from spleeter.model import EstimatorSpecBuilder, InputProviderFactory
from spleeter.utils.configuration import load_configuration


def random_value(name, shape, generator):
    """Numbers under which every layer matters and no mask is all or nothing."""
    kind = name.split("/")[-1].split(":")[0]
    if kind == "kernel":
        inputs = shape[0] * shape[1] * shape[3 if "transpose" in name else 2]
        return generator.normal(size=shape) * np.sqrt(2 / inputs)
    if kind in ("gamma", "moving_variance"):
        return generator.uniform(0.5, 1.5, size=shape)
    return 0.3 * generator.normal(size=shape)


def main(folder):
    params = load_configuration("spleeter:2stems")
    generator = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.train.create_global_step()
        placeholders = InputProviderFactory.get(params).get_input_dict_placeholders()
        EstimatorSpecBuilder(placeholders, params).build_predict_model()
        session.run(tf.compat.v1.global_variables_initializer())
        for variable in tf.compat.v1.global_variables():
            if not variable.name.startswith("global_step"):
                variable.load(random_value(variable.name, variable.shape.as_list(), generator), session)
        folder.mkdir(parents=True, exist_ok=True)
        tf.compat.v1.train.Saver(save_relative_paths=True).save(session, str(folder / "model"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
