"""What methods of two domains see, and what they hold out."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from recretrain.data.interactions import Interactions
from recretrain.data.kinds import Ratings
from recretrain.data.stream import Period, Rows
from recretrain.errors import DataError
from recretrain.methods.cross_domain import CrossDomain, Domains
from recretrain.testing import case
from recretrain.testing.contract import learn


def rows(*triples: tuple[int, int, float]) -> Interactions:
    user, item, rating = zip(*triples, strict=True)
    return Interactions(torch.tensor(user), torch.tensor(item), {"rating": torch.tensor(rating)})


DOMAINS = Domains(rows((3, 0, 1.0), (1, 0, 2.0), (2, 1, 3.0)), rows((1, 5, 4.0), (3, 6, 5.0), (1, 6, 3.0), (4, 5, 2.0)))


def test_common_users_have_rows_in_both_domains() -> None:
    assert DOMAINS.common.tolist() == [1, 3]
    assert DOMAINS.of_common("target").user.tolist() == [1, 3, 1]
    assert DOMAINS.of_common("source").item.tolist() == [0, 0]


def test_held_out_users_keep_their_rows_of_the_source_alone() -> None:
    learned, held_out = DOMAINS.parted(torch.tensor([1]))

    assert held_out.item.tolist() == [5, 6]
    assert learned.target.user.tolist() == [3, 4]
    assert learned.source is DOMAINS.source
    assert learned.common.tolist() == [3]


class Watching(CrossDomain):
    """Notes what it is given to learn from."""

    def learn(self, domains, held_out, task, fit) -> None:
        self.domains, self.held_out = domains, held_out


def watching(small, stream, **options) -> Watching:
    given = {"reads": "all", "start": "warm", "validation": 0.3, **options}
    return Watching(backbone=small.method(stream).backbone, **given)


def test_without_a_part_valid_some_common_users_are_held_out_with_all_their_target_rows(tmp_path: Path) -> None:
    small = case("mapped_biases", "schedule=next_period")
    stream = small.stream(tmp_path)
    method, task = watching(small, stream), small.tasks(stream)[-1]

    learn(method, task)

    whole = Domains.of([*task.past, task.period])
    held = method.held_out.queries()
    users = torch.unique(held.user)
    assert len(users) == round(0.3 * len(whole.common))
    assert not bool(torch.isin(users, method.domains.target.user).any())
    assert len(held) + len(method.domains.target) == len(whole.target)
    assert len(method.domains.source) == len(whole.source)


def test_a_part_valid_is_what_settings_are_chosen_by(tmp_path: Path) -> None:
    small = case("mapped_biases", "schedule=own_tests")
    stream = small.stream(tmp_path)
    method, task = watching(small, stream, reads="new"), small.tasks(stream)[2]

    learn(method, task)

    assert torch.equal(method.held_out.user, stream.interactions(2, "valid").user)
    assert len(method.domains.target) == len(stream.interactions(2, "train"))
    assert len(method.domains.source) == len(stream.interactions(2, "context"))


@pytest.mark.parametrize("reads", ["new", "all", "first"])
def test_reads_says_which_periods_are_learned(reads: str, tmp_path: Path) -> None:
    small = case("mapped_biases", "schedule=next_period")
    stream = small.stream(tmp_path)
    method, seen = watching(small, stream, reads=reads), []

    for task in small.tasks(stream)[:4]:
        learn(method, task)
        seen.append(len(method.domains.source))

    own = [len(stream.interactions(period, "context")) for period in range(5)]
    first = own[0] + own[1]  # the warm-up block
    wanted = {"new": [first, *own[2:]], "first": [first] * 4, "all": [sum(own[: n + 2]) for n in range(4)]}
    assert seen == wanted[reads][:4]


def test_data_of_one_domain_are_refused_in_words(tmp_path: Path) -> None:
    class Alone(Rows):
        def interactions(self) -> Interactions:
            return DOMAINS.target

        def questions(self) -> Ratings:
            raise AssertionError

        def context(self) -> Interactions:
            return DOMAINS.source.rows(slice(0, 0))

    small = case("mapped_biases", "schedule=next_period")
    stream = small.stream(tmp_path)
    method, task = watching(small, stream), small.tasks(stream)[0]

    with pytest.raises(DataError, match="period alone has no rows of the source domain; use data of two domains"):
        learn(method, replace(task, period=Period(0, "alone", Alone())))
