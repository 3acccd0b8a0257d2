"""What was written so far: a document for every user in each domain, and one for every item; catn.md (b6, b8)."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from recretrain.data.batches import permutation
from recretrain.data.documents import Texts
from recretrain.data.interactions import PAD, Interactions, Ragged
from recretrain.methods.state import Stateful

log = logging.getLogger("recretrain")

SOURCE, TARGET = 0, 1  # places of the domains


class Documents(Stateful):
    """The first words of each owner, text after text; it only grows."""

    kept = ("offsets", "words", "authors")

    def __init__(self, n: int, *, longest: int, authors: bool, device: torch.device) -> None:
        """`authors`: who wrote each word is kept too."""
        self._longest = longest
        self.offsets = torch.zeros(n + 1, dtype=torch.long, device=device)
        self.words = torch.zeros(0, dtype=torch.int32, device=device)  # [W]
        self.authors = torch.zeros(0, dtype=torch.int32, device=device) if authors else None  # [W]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def add(self, tokens: Ragged, owner: Tensor, author: Tensor) -> None:
        """Append texts, in their order, to the documents of their owners.  # N texts, [N], [N]"""
        length = torch.diff(tokens.offsets)
        owners = torch.cat([self.whole.row_of_value(), owner.repeat_interleave(length)])
        order = torch.argsort(owners, stable=True)
        count = torch.bincount(owners, minlength=len(self))
        start = count.cumsum(0) - count
        place = torch.arange(len(order), device=order.device) - start.repeat_interleave(count)
        order = order[place < self._longest]
        self.words = torch.cat([self.words, tokens.values.int()])[order]
        if self.authors is not None:
            self.authors = torch.cat([self.authors, author.int().repeat_interleave(length)])[order]
        self.offsets = torch.nn.functional.pad(count.clamp(max=self._longest).cumsum(0), (1, 0))

    @property
    def whole(self) -> Ragged:
        return Ragged(self.offsets, self.words)

    def of(self, owner: Tensor) -> Ragged:
        """Documents of some owners.  # [D] -> D documents"""
        return self.whole.at(owner)

    def without(self, owner: Tensor, author: Tensor) -> Ragged:
        """The same, with what one author wrote replaced by pads.  # [D], [D] -> D documents"""
        assert self.authors is not None
        found = self.whole.at(owner)
        own = Ragged(self.offsets, self.authors).at(owner).values == author.repeat_interleave(torch.diff(found.offsets))
        return Ragged(found.offsets, found.values.masked_fill(own, PAD))


class Reviews(Stateful):
    """The documents of users in either domain, of items, and the auxiliary ones of users in either domain."""

    def __init__(
        self, item_space: Tensor, n_users: int, *, longest: int, auxiliary: bool, authors: bool, shuffled: bool = False
    ) -> None:
        """`auxiliary`: documents of what others wrote; `authors`: items' documents can do without one user's review;
        `shuffled`: a control, users of a period exchange their documents.
        """
        self._item_space = item_space
        self._shuffled = shuffled

        def documents(n: int, *, authors: bool = False) -> Documents:
            return Documents(n, longest=longest, authors=authors, device=item_space.device)

        self.in_source, self.in_target = documents(n_users), documents(n_users)
        self.of_item = documents(len(item_space), authors=authors)
        self.beside_source = documents(n_users) if auxiliary else None
        self.beside_target = documents(n_users) if auxiliary else None

    def of_user(self, domain: int) -> Documents:
        return self.in_source if domain == SOURCE else self.in_target

    def auxiliary(self, domain: int) -> Documents | None:
        return self.beside_source if domain == SOURCE else self.beside_target

    def add(self, texts: Texts, generator: torch.Generator) -> None:
        """Append the texts of a period; auxiliary reviews are drawn among them."""
        device = self._item_space.device
        rows = texts.rows.to(device)
        tokens = Ragged(texts.tokens.offsets.to(device), texts.tokens.values.to(device))
        self.of_item.add(tokens, rows.item, rows.user)
        domain = self._item_space[rows.item]
        for number in (SOURCE, TARGET):
            at = torch.nonzero(domain == number).squeeze(1)
            own, words = rows.rows(at), tokens.at(at)
            writer = exchanged(own.user, generator) if self._shuffled else own.user
            self.of_user(number).add(words, writer, writer)
            beside = self.auxiliary(number)
            if beside is not None and len(own):
                donor = donors(own, generator)
                given = donor >= 0
                log.info("auxiliary reviews: %d of %d rows have one", int(given.sum()), len(own))
                beside.add(words.at(donor[given]), own.user[given], own.user[given])


def exchanged(user: Tensor, generator: torch.Generator) -> Tensor:
    """Give all rows of a user to one other, or by chance to himself.  # [N] -> [N]"""
    users, at = torch.unique(user, return_inverse=True)
    given: Tensor = users[permutation(len(users), generator).to(users.device)]
    return given[at]


def donors(rows: Interactions, generator: torch.Generator) -> Tensor:
    """For each row another user's row of the same item and rating, else of one star more, else of one less; else -1.

    Drawn from all such rows alike. Linear, but for one sort: catn.md (b8, T9).  # -> [N] places
    """
    level = ((rows.other["rating"] - rows.other["rating"].min()) * 2).round().long() + 2  # half stars
    group = rows.item * (int(level.max()) + 3) + level
    users = int(rows.user.max()) + 1
    key, order = torch.sort(group * users + rows.user)  # looked up in order too: neighbours are in the cache
    user, group = rows.user[order], group[order]
    drawn = torch.rand(len(rows), generator=generator, device=generator.device, dtype=torch.float64).to(key.device)
    found = torch.full_like(user, -1)
    for stars in (0, 2, -2):  # half stars
        wanted = (group + stars) * users
        first, last = torch.searchsorted(key, wanted), torch.searchsorted(key, wanted + users)
        own = torch.searchsorted(key, wanted + user)
        mine = torch.searchsorted(key, wanted + user, right=True) - own
        others = last - first - mine
        place = first + (drawn * others).long()
        place = torch.where(place >= own, place + mine, place)
        here = (found < 0) & (others > 0)
        found = torch.where(here, order[place.clamp(max=len(order) - 1)], found)
    return torch.empty_like(found).index_copy_(0, order, found)
