"""Run the graph of the package musicnn in TensorFlow: python make_musicnn_reference.py PACKAGE SPECTROGRAM.npy OUT.npz.

It runs in the environment of the Spleeter package, which has TensorFlow. PACKAGE is the folder of the wheel's contents;
its module is loaded without the package itself, whose other requirements are missing.
"""

import importlib
import os
import sys
import types

import numpy as np

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf  # noqa: E402

wheel, spectrogram, target = sys.argv[1:]
package = types.ModuleType("musicnn")
package.__path__ = [f"{wheel}/musicnn"]
sys.modules["musicnn"] = package
models = importlib.import_module("musicnn.models")
v1, mel, found = tf.compat.v1, np.load(spectrogram), {}
v1.disable_eager_execution()
for tagger in ("MTT", "MSD"):
    v1.reset_default_graph()
    with tf.name_scope("model"):
        x, is_training = v1.placeholder(tf.float32, [None, *mel.shape[1:]]), v1.placeholder(tf.bool)
        logits, *_, mean, largest, _ = models.define_model(x, is_training, f"{tagger}_musicnn", 50)
    with v1.Session() as session:
        v1.train.Saver().restore(session, f"{wheel}/musicnn/{tagger}_musicnn/")
        outputs = session.run([tf.sigmoid(logits), largest, mean], {x: mel, is_training: False})
    found |= dict(zip((f"{tagger}_tags", f"{tagger}_largest", f"{tagger}_mean"), outputs))
np.savez(target, **found)
