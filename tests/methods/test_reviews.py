"""Documents grow text by text; auxiliary reviews are somebody else's, of the same item and nearly the same rating."""

from __future__ import annotations

import torch

from recretrain.data.documents import Texts
from recretrain.data.interactions import Interactions, Ragged
from recretrain.methods.parts.reviews import Documents, Reviews, donors

SPACE = torch.tensor([0, 0, 1, 1])  # of four items


def texts(*rows: tuple[int, int, float, list[int]]) -> Texts:
    """From users, items, ratings and words."""
    user, item, rating, words = zip(*rows, strict=True)
    length = torch.tensor([len(some) for some in words])
    offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
    values = torch.tensor([word for some in words for word in some], dtype=torch.long)
    other = {"rating": torch.tensor(rating)}
    return Texts(Interactions(torch.tensor(user), torch.tensor(item), other), Ragged(offsets, values))


def words(documents: Documents) -> list[list[int]]:
    parts = torch.split(documents.words, torch.diff(documents.offsets).tolist())
    return [part.tolist() for part in parts]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def reviews(**choices: bool) -> Reviews:
    return Reviews(SPACE, 3, longest=4, **{"auxiliary": False, "authors": False, **choices})


def test_a_document_is_the_first_words_of_its_owners_texts_in_order():
    found = reviews()

    found.add(texts((0, 2, 5, [1, 2]), (1, 2, 3, [3]), (0, 0, 4, [4, 5, 6]), (0, 3, 1, [7, 8, 9])), generator())

    assert words(found.in_target) == [[1, 2, 7, 8], [3], []]
    assert words(found.in_source) == [[4, 5, 6], [], []]
    assert words(found.of_item) == [[4, 5, 6], [], [1, 2, 3], [7, 8, 9]]


def test_later_texts_fill_up_what_is_not_full():
    found = reviews()

    found.add(texts((0, 2, 5, [1, 2, 3]), (1, 3, 5, [4])), generator())
    found.add(texts((0, 3, 5, [5, 6]), (2, 2, 5, [7])), generator())

    assert words(found.in_target) == [[1, 2, 3, 5], [4], [7]]
    assert words(found.of_item) == [[], [], [1, 2, 3, 7], [4, 5, 6]]


def test_documents_of_some_owners_in_their_order():
    found = reviews()
    found.add(texts((0, 2, 5, [1, 2]), (2, 2, 5, [3])), generator())

    some = found.in_target.of(torch.tensor([2, 1, 0]))

    assert some.offsets.tolist() == [0, 1, 1, 3]
    assert some.values.tolist() == [3, 1, 2]


def test_ones_own_review_is_hidden_and_no_other():
    found = reviews(authors=True)
    found.add(texts((0, 2, 5, [1, 2]), (1, 2, 5, [3]), (0, 3, 5, [9])), generator())

    without = found.of_item.without(torch.tensor([2, 2, 3]), torch.tensor([0, 1, 1]))

    assert without.values.tolist() == [-1, -1, 3, 1, 2, -1, 9]
    assert words(found.of_item)[2] == [1, 2, 3], "the document itself is as before"


def test_users_who_exchange_documents_leave_items_theirs():
    written = texts((0, 2, 5, [1, 2]), (1, 2, 3, [3]), (0, 0, 4, [4]), (2, 1, 4, [5]), (0, 3, 1, [7]))
    orders = set()

    for seed in range(20):
        found = reviews(shuffled=True)
        found.add(written, generator(seed))
        in_target, in_source = words(found.in_target), words(found.in_source)
        assert sorted(in_target[:2]) == [[1, 2, 7], [3]], "of those who wrote there"
        assert in_target[2] == []
        assert sorted([in_source[0], in_source[2]]) == [[4], [5]]
        assert words(found.of_item) == [[4], [5], [1, 2, 3], [7]]
        orders.add((in_target[0][0], in_source[0][0]))

    assert len(orders) == 4


def rated(*rows: tuple[int, int, float]) -> Interactions:
    user, item, rating = zip(*rows, strict=True)
    return Interactions(torch.tensor(user), torch.tensor(item), {"rating": torch.tensor(rating)})


def test_a_donor_is_another_user_of_the_item_with_the_rating_then_a_star_more_then_a_star_less():
    rows = rated((0, 7, 4), (1, 7, 4), (2, 7, 5), (3, 7, 2), (4, 7, 1), (0, 8, 4), (5, 9, 3), (6, 9, 3.5))

    found = donors(rows, generator())

    assert found[[0, 1, 3, 4, 5, 6, 7]].tolist() == [1, 0, 4, 3, -1, -1, -1]
    assert found[2].item() in (0, 1)  # nobody else gave 5, nobody 6; of those who gave 4 one is drawn


def test_donors_are_drawn_from_all_alike_and_never_the_user_itself():
    rows = rated(*((user, 1, 3.0) for user in (0, 1, 2, 3)), (2, 1, 3.0))

    drawn = torch.stack([donors(rows, generator(seed)) for seed in range(400)])

    own = rows.user[drawn] == rows.user
    assert not bool(own.any())
    assert torch.equal(drawn[:, 2].unique(), torch.tensor([0, 1, 3]))
    counts = torch.bincount(drawn[:, 0], minlength=5)[1:]
    assert int(counts.min()) > 70  # of 100 each


def test_donors_are_the_naive_ones_of_many_rows():
    draw = generator(3)
    rows = rated(
        *zip(
            torch.randint(30, (300,), generator=draw).tolist(),
            torch.randint(60, (300,), generator=draw).tolist(),
            torch.randint(1, 6, (300,), generator=draw).float().tolist(),
            strict=True,
        )
    )
    rating = rows.other["rating"]

    found = donors(rows, generator()).tolist()

    for row, donor in enumerate(found):
        others = (rows.item == rows.item[row]) & (rows.user != rows.user[row])
        wanted = next((w for w in (0, 1, -1) if bool((others & (rating == rating[row] + w)).any())), None)
        if wanted is None:
            assert donor == -1
        else:
            assert bool(others[donor])
            assert rating[donor] == rating[row] + wanted
    assert -1 in found


def test_auxiliary_documents_are_made_of_donors_words_in_the_order_of_the_users_rows():
    found = reviews(auxiliary=True)

    found.add(texts((0, 2, 5, [1]), (1, 2, 5, [2]), (1, 3, 3, [3]), (2, 3, 4, [4]), (2, 0, 4, [5])), generator())

    assert found.beside_target is not None
    assert found.beside_source is not None
    assert words(found.beside_target) == [[2], [1, 4], [3]]
    assert words(found.beside_source) == [[], [], []]


def test_documents_survive_their_state():
    found, other = reviews(auxiliary=True, authors=True), reviews(auxiliary=True, authors=True)
    found.add(texts((0, 2, 5, [1]), (1, 2, 5, [2])), generator())

    other.load_state_dict(found.state_dict())

    assert words(other.of_item) == words(found.of_item)
    assert other.of_item.without(torch.tensor([2]), torch.tensor([1])).values.tolist() == [1, -1]
