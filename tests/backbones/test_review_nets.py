"""Networks that read two documents, against dense arithmetic, one document and one aspect at a time."""

import pytest
import torch
import torch.nn.functional as F

from recretrain.backbones.anr import ANR
from recretrain.backbones.deepconn import DeepCoNN
from recretrain.backbones.review_net import ReviewNet, Words
from recretrain.data.interactions import PAD, Ragged
from recretrain.data.vocabulary import Vocabulary
from recretrain.errors import ConfigError

DOCUMENTS = [[3, 1, 1, 7], [2], [], [5, 6, 7, 0, 3]]
SMALL = {"longest": 6, "window": 3, "words": "trainable", "dropout": 0.0}


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def vocabulary() -> Vocabulary:
    return Vocabulary.of(n_users=4, n_items=5, word_vectors=drawn(8, 6))


def anr(**options) -> ANR:
    net = ANR(vocabulary=vocabulary(), aspects=3, aspect_size=4, attention_size=5, **{**SMALL, **options})
    return in_motion(net)


def deepconn(**options) -> DeepCoNN:
    return in_motion(DeepCoNN(vocabulary=vocabulary(), filters=7, embedding_size=4, factors=2, **{**SMALL, **options}))


def in_motion(net):
    """Weights large enough for each of them to show."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator))
    return net.eval().requires_grad_(False)


def ragged(documents: list[list[int]]) -> Ragged:
    length = torch.tensor([len(words) for words in documents])
    values = torch.tensor([word for words in documents for word in words], dtype=torch.int32)
    return Ragged(torch.cat([torch.zeros(1, dtype=torch.long), length.cumsum(0)]), values)


def test_documents_are_places_among_their_distinct_words() -> None:
    words = Words.of(ragged([[7, PAD, 7], [3], []]))

    assert words.used.tolist() == [3, 7]
    assert words.place.tolist() == [[1, 2, 1], [0, 2, 2], [2, 2, 2]]
    assert words.known.sum(1).tolist() == [2, 1, 0]


def test_a_document_is_the_same_in_any_company() -> None:
    for net in (anr(), deepconn()):
        together = net.user_vectors(ragged(DOCUMENTS))
        for place, words in enumerate(DOCUMENTS):
            assert torch.allclose(net.user_vectors(ragged([words]))[0], together[place], atol=1e-5)


@pytest.mark.parametrize("side", [0, 1])
def test_deepconn_is_a_convolution_its_largest_values_and_a_layer(side: int) -> None:
    net = deepconn()
    read = net.user_vectors if side == 0 else net.item_vectors

    found = read(ragged(DOCUMENTS))

    for place, words in enumerate(DOCUMENTS):
        largest = torch.zeros(7)
        if words:
            inputs = net.word[words].T.unsqueeze(0)
            kernel = net.convolution[side].permute(2, 1, 0)
            largest = torch.relu(F.conv1d(inputs, kernel, net.convolution_bias[side], padding=1))[0].amax(1)
        assert torch.allclose(found[place], torch.relu(largest @ net.layer[side] + net.layer_bias[side]), atol=1e-5)


def test_the_machine_adds_the_products_of_all_pairs_of_numbers() -> None:
    net = deepconn()
    user, item = drawn(1, 4), drawn(2, 4)[1:]

    z = torch.cat([user, item], 1)[0]
    wanted = z @ net.linear
    for left in range(8):
        for right in range(left + 1, 8):
            wanted = wanted + net.pairs[left] @ net.pairs[right] * z[left] * z[right]
    assert torch.allclose(net.meet(user, item)[0], wanted, atol=1e-4)


def test_anr_attends_by_a_window_of_projected_words() -> None:
    net = anr()

    found = net.item_vectors(ragged(DOCUMENTS)).view(4, 3, 4)

    for aspect in range(3):
        projection = net.projection[:, 4 * aspect : 4 * aspect + 4]
        for place, words in enumerate(DOCUMENTS):
            projected = net.word[words] @ projection
            around = F.pad(projected, (0, 0, 1, 1))
            logit = torch.stack(
                [(around[at : at + 3] * net.query[aspect]).sum() for at in range(len(words))] or [torch.zeros(())]
            )
            wanted = torch.softmax(logit, 0) @ projected if words else torch.zeros(4)
            assert torch.allclose(found[place, aspect], wanted, atol=1e-4)


def test_anr_weighs_aspects_by_what_the_other_side_has() -> None:
    net = anr()
    p, q = drawn(3, 4), drawn(6, 4)[3:]

    of_user, of_item = net.importances(p, q)

    affinity = torch.relu(p @ net.affinity @ q.T)
    user = torch.relu(p @ net.hidden[0] + affinity @ (q @ net.hidden[1]))
    item = torch.relu(q @ net.hidden[1] + affinity.T @ (p @ net.hidden[0]))
    assert torch.allclose(of_user, torch.softmax(user @ net.importance[0], 0), atol=1e-5)
    assert torch.allclose(of_item, torch.softmax(item @ net.importance[1], 0), atol=1e-5)
    wanted = sum(of_user[a] * of_item[a] * (p[a] @ q[a]) for a in range(3))
    assert torch.allclose(net.meet(p.view(1, -1), q.view(1, -1))[0], wanted, atol=1e-5)


@pytest.mark.parametrize("net", [anr(), deepconn()], ids=["anr", "deepconn"])
def test_items_of_a_question_meet_its_user_each_by_itself(net: ReviewNet) -> None:
    user, items = drawn(2, 1, 12 if isinstance(net, ANR) else 4), drawn(2, 3, 12 if isinstance(net, ANR) else 4)

    together = net.meet(user.expand_as(items), items)

    assert together.shape == (2, 3)
    assert torch.allclose(together[1, 2], net.meet(user[1], items[1, 2:])[0], atol=1e-4)


def test_frozen_words_are_no_weights_and_new_weights_bring_the_given_vectors_back() -> None:
    assert "word" not in dict(anr(words="frozen").named_parameters())
    net = anr()

    net.draw(None)

    assert torch.equal(net.word, vocabulary().word_vectors)
    assert float(net.item_bias.abs().sum()) == 0


def test_a_window_without_a_middle_is_refused() -> None:
    for make in (anr, deepconn):
        with pytest.raises(ConfigError, match="window=4 has no middle word"):
            make(window=4)
