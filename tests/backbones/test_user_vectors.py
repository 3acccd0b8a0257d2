"""A user's row is scored against items' rows, whatever the history; the losses of sequence models teach both."""

import torch

from recretrain.backbones.mf import MF
from recretrain.backbones.user_vectors import UserVectors
from recretrain.data.kinds import Questions
from recretrain.data.vocabulary import Vocabulary
from recretrain.methods.learners.next_item import PrefixBatch, plain

VOCABULARY = Vocabulary.of(n_users=4, n_items=6)


def model(dropout: float = 0.0) -> UserVectors:
    torch.manual_seed(0)
    return UserVectors(vocabulary=VOCABULARY, embedding_size=3, init_std=1.0, dropout=dropout).eval()


def given(history: list[list[int]]) -> Questions:
    return Questions(
        user=torch.tensor([2, 0]), candidates=None, catalogue=torch.arange(6), period=0, history=torch.tensor(history)
    )


def test_scores_are_those_of_matrix_factorisation_and_no_history_changes_them():
    own = model()
    mf = MF(vocabulary=VOCABULARY, embedding_size=3, init_std=1.0)
    mf.load_state_dict(own.state_dict())

    scores = own.score(given([[3, 1], [-1, 4]]))

    torch.testing.assert_close(scores, mf.user[[2, 0]] @ mf.item.T)
    assert torch.equal(own.score(given([[0, 0], [-1, -1]])), scores)


def test_the_soft_max_of_next_items_moves_rows_of_users_and_items_as_autograd_does():
    own = model()
    user, item = (table.detach().clone().requires_grad_() for table in (own.user, own.item))
    batch = PrefixBatch(torch.tensor([[1], [2]]), torch.tensor([2, 2]), torch.tensor([0, 3]))

    plain(own, 5, batch).backward()

    torch.nn.functional.cross_entropy(user[batch.user] @ item[:5].T, batch.label).backward()
    torch.testing.assert_close(torch.as_tensor(own.user.grad), user.grad)
    torch.testing.assert_close(torch.as_tensor(own.item.grad), item.grad)
    assert user.grad.abs().sum() > 0


def test_dropout_is_of_the_users_row_in_a_fit_alone():
    own = model(dropout=0.5)
    users = torch.tensor([0, 1, 2, 3] * 50)
    nothing = torch.empty(200, 0, dtype=torch.long)

    assert torch.equal(own.represent(nothing, users), own.user[users])
    dropped = own.train().represent(nothing, users)
    assert 200 < (dropped == 0).sum() < 400
