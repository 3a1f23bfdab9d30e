"""A process that trains one small member, for tests that kill it: python train_one_member.py FOLDER."""

import sys

from conftest import make_data

from snippetkit.recipe import Recipe
from snippetkit.training.member import train_member
from snippetkit.utils.hardware import Device

# Everything that draws random numbers or keeps a state of its own takes part. A ResNet18's checkpoint is large enough
# for a kill to hit it half-written.
RECIPE = Recipe.best().with_values(
    model="resnet18", folds=3, epochs=4, batch_size=16, crop=30, time_mask=8, precision="fp32"
)

if __name__ == "__main__":
    train_member(sys.argv[1], 3, RECIPE, make_data(seed=0), device=Device("cpu", "CPU", "fp32"))
