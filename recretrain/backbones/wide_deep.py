"""Wide & Deep as a regressor of ratings: MeLU's network, and a line through all field values beside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recretrain.backbones.content import ContentNet, FieldTables, RatingBackbone
from recretrain.data.vocabulary import Vocabulary
from recretrain.values import AtLeast1


class WideDeep(RatingBackbone):
    """Cheng et al., DLRS 2016. MeLU's paper names neither the crosses of its wide part nor its training (melu.md, e):
    here the wide part weighs every value of every field, without crosses.
    """

    def __init__(self, *, vocabulary: Vocabulary, embedding_size: AtLeast1, hidden: Sequence[AtLeast1]) -> None:
        super().__init__()
        self.deep = ContentNet(
            vocabulary=vocabulary, embedding_size=embedding_size, hidden=hidden, reserve_unseen=False
        )
        self.wide_item = FieldTables(vocabulary.fields.item, 1, reserve=False)
        self.wide_user = FieldTables(vocabulary.fields.user, 1, reserve=False)
        self.draw(None)

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        self.deep.draw(generator)
        for table in (*self.wide_item.parameters(), *self.wide_user.parameters()):
            table.zero_()

    def predict(self, user: Tensor, item: Tensor) -> Tensor:
        items = self.wide_item(item.reshape(-1)).sum(1).view(item.shape)
        users = self.wide_user(user).sum(1, keepdim=True)
        rating: Tensor = self.deep.predict(user, item) + items + users
        return rating
