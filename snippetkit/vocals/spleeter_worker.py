"""The real Spleeter, one clip after the other, in one process.

Run by the Python of Spleeter's own environment, so nothing of the kit can be imported here. It reads one line per clip
from standard input, the paths of two .npy files with a tab between them: the mixture, (samples, 2) float32 at 44.1 kHz,
and where the vocals go. After writing the vocals it prints "done". MODEL_PATH says where the weights are.
"""

import os
import sys

import numpy as np

# What libraries print must not be taken for an answer.
answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


def mixtures(targets):
    for line in sys.stdin:
        mixture, target = line.rstrip("\n").split("\t")
        targets.append(target)
        yield {"waveform": np.load(mixture), "audio_id": ""}


def main():
    import tensorflow as tf
    from spleeter.separator import create_estimator
    from spleeter.utils.configuration import load_configuration

    params = load_configuration("spleeter:2stems")
    estimator = create_estimator(params, False)
    # TensorFlow goes on with random weights if it finds none, and says so only in a log.
    if tf.train.latest_checkpoint(estimator.model_dir) is None:
        sys.exit(f"no weights in {estimator.model_dir}")
    targets = []
    answers.write("ready\n")
    # One data set for all clips: Spleeter's own Separator would build its graph anew for each.
    data = {"waveform": tf.TensorSpec((None, 2), tf.float32), "audio_id": tf.TensorSpec((), tf.string)}
    predictions = estimator.predict(
        lambda: tf.data.Dataset.from_generator(lambda: mixtures(targets), output_signature=data),
        yield_single_examples=False,
    )
    for prediction in predictions:
        np.save(targets.pop(0), prediction["vocals"])
        answers.write("done\n")


main()
