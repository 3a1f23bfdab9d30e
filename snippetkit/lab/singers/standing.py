"""What stands where `members.TrainingData` stands, and shows a network other things than the clips as they are."""

from dataclasses import dataclass

from ...training.data import TrainingData


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """Passes on what the core asks of training data; who derives from it has `fingerprint` and `datasets` of its own.

    Attributes
    ----------
    data : TrainingData
    """

    data: TrainingData

    @property
    def train(self):
        return self.data.train

    @property
    def test(self):
        return self.data.test

    @property
    def labels(self):
        return self.data.labels

    @property
    def classes(self):
        return self.data.classes

    @property
    def songs(self):
        return self.data.songs
