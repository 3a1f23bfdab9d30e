"""A ResNet34 made ready for the processor: batch norm folded, frozen, and compiled, for prediction and for training.

Each on one fixed batch, in the kit's precision and memory format. `torch.compile` needs a C++ compiler.
"""

import copy
from functools import partial

import torch
from resnet34 import CLASSES, DEVICE, fixed_batch, new_state
from side_by_side import benchmark, timed
from torch.fx.experimental.optimization import fuse
from torch.nn import functional

from snippetkit import models

PREDICTED, BATCHES = 256, 4     # clips of a batch of predictions, and batches
TRAINED, STEPS = 32, 15


def as_it_is(network, batch):
    return network


def folded(network, batch):
    """Each batch norm is part of the weights of the convolution before it."""
    return fuse(copy.deepcopy(network)).to(memory_format=DEVICE.memory_format)


def frozen(network, batch):
    """Weights as constants, which oneDNN reorders once instead of in each call."""
    torch.jit.enable_onednn_fusion(True)
    return torch.jit.freeze(torch.jit.trace(network, batch, check_trace=False))


def compiled(network, batch):
    return torch.compile(network)


def predict(prepare, data):
    batch, _ = fixed_batch(PREDICTED)
    network = models.build("resnet34", classes=CLASSES, dropout=0.2).eval()
    # for folding and freezing the cast to low precision must be in the weights; autocast keeps it out of them
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(DEVICE.precision, torch.float32)
    network = network.to(DEVICE.name, dtype, memory_format=DEVICE.memory_format)
    batch = batch.to(dtype)
    with torch.no_grad():
        ready = prepare(network, batch)

        def run():
            for _ in range(BATCHES):
                ready(batch)

        return timed(run, BATCHES * PREDICTED, warm_up=lambda: [run() for _ in range(2)])


def autocast(data):
    batch, _ = fixed_batch(PREDICTED)
    network = models.build("resnet34", classes=CLASSES, dropout=0.2).eval().to(
        DEVICE.name, memory_format=DEVICE.memory_format
    )
    with torch.inference_mode(), DEVICE.autocast():

        def run():
            for _ in range(BATCHES):
                network(batch)

        return timed(run, BATCHES * PREDICTED, warm_up=run)


def train(prepare, data):
    (batch, targets), state = fixed_batch(TRAINED), new_state(STEPS)
    state.model.train()
    model = prepare(state.model, batch)

    def run():
        for _ in range(STEPS):
            with DEVICE.autocast():
                logits = model(batch)
            state.optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(logits.float(), targets).backward()
            state.optimizer.step()

    return timed(run, STEPS * TRAINED, warm_up=run)


if __name__ == "__main__":
    benchmark({
        "prediction, as the kit": autocast, "prediction, weights in low precision": partial(predict, as_it_is),
        "prediction, batch norm folded": partial(predict, folded), "prediction, frozen": partial(predict, frozen),
        "prediction, torch.compile": partial(predict, compiled),
        "training, as the kit": partial(train, as_it_is), "training, torch.compile": partial(train, compiled),
    }, unit="clip", has_baseline=False, doc=__doc__)
