"""Patience, the best weights, and the optimiser that belongs to them."""

import torch

from recretrain.methods.parts.early_stopping import EarlyStopping


class Course:
    """A weight that goes up by one an epoch, and what is measured after each."""

    def __init__(self, measured: list[float]) -> None:
        self.model = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.zeros_(self.model.weight)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=0.0)
        self.measured = iter(measured)
        self.epochs = 0

    def epoch(self) -> None:
        self.epochs += 1
        torch.nn.init.constant_(self.model.weight, self.epochs)
        self.model.weight.grad = torch.ones(1, 1)
        self.adam.step()

    def run(self, *, epochs: int, patience: int) -> list[float]:
        stop = EarlyStopping(epochs=epochs, patience=patience)
        return stop(self.model, self.adam, epoch=self.epoch, measure=lambda: next(self.measured))

    @property
    def steps(self) -> int:
        return int(self.adam.state[self.model.weight]["step"])


def test_the_best_epoch_is_what_is_left_with_its_moments():
    course = Course([0.1, 0.3, 0.2, 0.2])

    course.run(epochs=100, patience=2)

    assert course.epochs == 4
    assert course.model.weight.item() == 2
    assert course.steps == 2


def test_an_equal_epoch_fails_and_a_better_one_begins_the_count_anew():
    course = Course([0.3, 0.3, 0.4, 0.4, 0.1])

    assert course.run(epochs=100, patience=2) == [0.3, 0.3, 0.4, 0.4, 0.1]
    assert course.model.weight.item() == 3


def test_there_is_a_last_epoch_even_if_each_is_better():
    course = Course([0.1, 0.2, 0.3])

    course.run(epochs=3, patience=1)

    assert course.epochs == 3
    assert course.model.weight.item() == 3


def test_the_first_epoch_counts_even_if_nothing_is_found():
    course = Course([0.0, 0.0, 0.0])

    course.run(epochs=9, patience=2)

    assert course.model.weight.item() == 1
