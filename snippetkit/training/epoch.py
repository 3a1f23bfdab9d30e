"""One pass over a data set: training, validation or prediction."""

import torch
from torch.nn import functional

from ..augment import mixup, random_crop, spec_augment
from ..utils.errors import KitError
from . import losses

# Without gradients more clips fit into memory, and a clip's result does not depend on the others in its batch.
PREDICTION_BATCH = 256


def train_one_epoch(state, dataset, recipe, device, bar):
    """Train on every clip once, or with oversampling on as many clips drawn with replacement.

    Parameters
    ----------
    state : State
        Changed in place, except `epoch` and `history`.
    dataset : SnippetDataset
        With labels, on the device.
    recipe : Recipe
    device : Device
    bar : tqdm
        Updated by one per batch.

    Returns
    -------
    dict
        ``lr`` after the last batch, ``train_loss`` and ``train_accuracy`` over the epoch.

    Raises
    ------
    KitError
        If the loss becomes NaN or infinite.
    """
    state.model.train()
    loss_sum, correct = torch.zeros(2, device=device.name)
    objective = getattr(dataset, "objective", None) or _one_class(dataset, recipe, state)
    order = _order(dataset, recipe, state)
    for features, labels in dataset.batches(recipe.batch_size, order=order, generator=state.generator):
        features, targets = _augment(features, labels, recipe, state)
        with device.autocast():
            logits = state.model(features.contiguous(memory_format=device.memory_format))
        loss = objective.loss(logits.float(), targets)
        _step(state, loss)
        loss_sum += loss.detach() * len(labels)
        correct += objective.correct(logits, targets).sum()
        bar.update()
    if not torch.isfinite(loss_sum):
        failure = f"member {state.identity['member']:02d}: the loss became NaN or infinite in epoch {state.epoch + 1}"
        raise KitError(f"{failure}. Try a lower learning rate (lr={recipe.lr} now) or precision=fp32.")
    return {
        "lr": state.scheduler.get_last_lr()[0],
        "train_loss": loss_sum.item() / len(dataset),
        "train_accuracy": correct.item() / len(dataset),
    }


def _one_class(dataset, recipe, state):
    weights = losses.balanced(_classes_of(dataset), state.classes) if recipe.class_weights else None
    return losses.OneClass(label_smoothing=recipe.label_smoothing, focal=recipe.focal, class_weights=weights)


def _order(dataset, recipe, state):
    """The order of the clips; with oversampling, drawn so that all classes are equally frequent."""
    if not recipe.oversample:
        return torch.randperm(len(dataset), generator=state.generator)
    labels = _classes_of(dataset)
    shares = losses.balanced(labels, state.classes)[labels].cpu()
    return torch.multinomial(shares, len(dataset), replacement=True, generator=state.generator)


def _classes_of(dataset):
    """The class of each clip, also if the labels are probabilities."""
    return dataset.labels if dataset.labels.ndim == 1 else dataset.labels.argmax(dim=1)


def _augment(features, labels, recipe, state):
    """The augmented batch; targets are labels, or probabilities after mixup or distillation."""
    if recipe.crop:
        features = random_crop(features, frames=recipe.crop, generator=state.generator)
    if recipe.time_mask or recipe.band_mask:
        masks = {"time_mask": recipe.time_mask, "band_mask": recipe.band_mask}
        features = spec_augment(features, **masks, generator=state.generator)
    if not recipe.mixup:
        return features, labels
    probabilities = labels if labels.ndim == 2 else functional.one_hot(labels, state.classes).float()
    return mixup(features, probabilities, alpha=recipe.mixup, generator=state.generator)


def _step(state, loss):
    state.optimizer.zero_grad(set_to_none=True)
    state.scaler.scale(loss).backward()
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.scheduler.step()
    if state.averaged is not None:
        state.averaged.update_parameters(state.model)


def evaluate(model, dataset, device):
    """Loss and accuracy on the validation set, as ``valid_loss`` and ``valid_accuracy``."""
    logits = torch.from_numpy(predict(model, dataset, device))
    labels, objective = dataset.labels.cpu(), getattr(dataset, "objective", None) or losses.OneClass()
    return {
        "valid_loss": objective.loss(logits, labels).item(),
        "valid_accuracy": objective.correct(logits, labels).double().mean().item(),
    }


def predict(model, dataset, device):
    """Logits of all clips. Batches become smaller until they fit into memory.

    Parameters
    ----------
    model : nn.Module
    dataset : SnippetDataset
        On the device.
    device : Device

    Returns
    -------
    ndarray, shape (clips, classes), float32
    """
    size = PREDICTION_BATCH
    while True:
        try:
            return _predict(model, dataset, device, size)
        except torch.cuda.OutOfMemoryError:
            if size == 1:
                raise
        size //= 2


@torch.inference_mode()
def _predict(model, dataset, device, size):
    model.eval()
    logits = []
    for batch in dataset.batches(size):
        features = batch if dataset.labels is None else batch[0]
        with device.autocast():
            logits.append(model(features.contiguous(memory_format=device.memory_format)).float())
    return torch.cat(logits).cpu().numpy()
