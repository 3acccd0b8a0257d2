"""A trunk is pre-trained on a source and shared by tasks, each with patches of its own in its blocks (peterrec.md).

Trunks: dilated convolutions (`dilated`: NextItNet, GRec) and attention (`sasrec_trunk`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recretrain.backbones.sequence import SequenceBackbone
from recretrain.data.interactions import PAD
from recretrain.data.vocabulary import Vocabulary

Readout: TypeAlias = Literal["tcl", "mean", "last"]

EPSILON = 1e-8  # of layer norms, inside the root
_STD = 0.02  # of normal draws that are cut at two deviations
_OUTPUT_STD, _OUTPUT_BIAS = 0.01, 0.1  # of the soft-max's table


class View(NamedTuple):
    """Where a layer is computed: some positions of its input, for an output that needs no others."""

    taps: Tensor  # [3 x positions] rows of the input, behind which there is a row of zeros
    own: Tensor  # [positions] the same positions in the input
    absolute: Tensor  # [positions] in the whole sequence


class BlockPatches(Protocol):
    """What is grafted into one block (`backbones.patches`), whose two halves are told by 0 and 1."""

    norm: nn.LayerNorm | None  # in place of the block's second one

    def before_norm(self, half: int, u: Tensor, x: Tensor, view: View | None) -> Tensor:
        """The output of a half's layers as what follows is given it; `x` is their input."""

    def after_activation(self, half: int, y: Tensor, x: Tensor, view: View | None) -> Tensor:
        """The output of a half of the block."""


class Trunk(SequenceBackbone):
    """A network whose blocks have two halves each, behind a table of tokens.

    `item` has a row for each item of the first space, the source, then one for [TCL], which is [MASK] too, and one for
    items without a row of their own (`known`). Padding has none: it is zero in every layer, so a vector does not depend
    on how much of it there is. `output` is the table of the pre-training soft-max; its last column is the items' bias.
    """

    causal: ClassVar[bool]  # a state depends on no later token
    halves: ClassVar[tuple[Sequence[str], Sequence[str]]]  # a block's modules, of its first half and of its second
    second_norm: ClassVar[str]  # a block's module in whose place a task may have one of its own
    activates: ClassVar[bool]  # a half ends with a norm and an activation, behind which a patch can stand

    blocks: nn.ModuleList
    known: Tensor  # [n_items] whether an item has a row of its own; else it is read as unknown
    item_space: Tensor  # [n_items] the vocabulary of each item

    def __init__(self, vocabulary: Vocabulary, embedding_size: int, longest: int, *, relu_output: bool) -> None:
        """`relu_output`: the vectors are cut at zero before the soft-max, as PeterRec's released code has it where the
        soft-max is full.
        """
        super().__init__()
        self.longest = longest
        self.relu_output = relu_output
        source = int(vocabulary.items_of(0).max()) + 1  # items are numbered as they appear, so its own come first
        self.item = nn.Parameter(torch.empty(source + 2, embedding_size))
        self.output = nn.Parameter(torch.empty(vocabulary.n_items, embedding_size + 1))
        self.register_buffer("known", torch.zeros(vocabulary.n_items, dtype=torch.bool))
        self.register_buffer("item_space", vocabulary.item_space.clone(), persistent=False)

    @abstractmethod
    def states(self, tokens: Tensor, patches: nn.ModuleList | None = None, *, last: bool = False) -> Tensor:
        """The last layer's states, 0 at padding; `last`: those of the last position alone.

        # [B, T] rows of `item` -> [B, T or 1, d]
        """

    @abstractmethod
    def draw_blocks(self, generator: torch.Generator | None) -> None:
        """Give all but the tables first weights."""

    @property
    def width(self) -> int:
        return self.item.shape[1]

    @torch.no_grad()
    def draw(self, generator: torch.Generator | None) -> None:
        """Normal draws of the tables; each block its own."""
        truncated_normal_(self.item, generator)
        self.draw_blocks(generator)
        self.output[:, :-1].normal_(0.0, _OUTPUT_STD, generator=generator)
        self.output[:, -1] = _OUTPUT_BIAS
        self.known[: self.tcl] = True

    @property
    def tcl(self) -> int:
        """Row of [TCL], which closes a history whose vector is asked for, and hides an item in cloze."""
        return len(self.item) - 2

    def tokens(self, history: Tensor) -> Tensor:
        """Rows of `item` for ids; padding stays PAD.  # [...] -> [...]"""
        known = self.known[history.clamp(min=0)]
        return torch.where(history < 0, PAD, torch.where(known, history, self.tcl + 1))

    def user_vectors(self, history: Tensor, readout: Readout, patches: nn.ModuleList | None = None) -> Tensor:
        """Vectors of whole histories, for any label (peterrec.md, a).  # [B, T] -> [B, d]

        `tcl`: the state at [TCL] after the history; with both sides [TCL] stands at both ends, and the two are added.
        `last`: the state of the last item; `mean`: the mean of all items' (both 0 for an empty history).
        """
        tokens = self.tokens(history[:, -self.longest :])
        if readout == "last":
            return self.states(tokens, patches, last=True).squeeze(1)
        if readout == "mean":
            count = (tokens >= 0).sum(1, keepdim=True).clamp(min=1)
            return self.states(tokens, patches).sum(1) / count
        closed = F.pad(tokens, (0, 1), value=self.tcl)
        if self.causal:
            return self.states(closed, patches, last=True).squeeze(1)
        opened = F.pad(closed, (1, 0), value=PAD)
        first = (opened < 0).sum(1, keepdim=True) - 1
        states = self.states(opened.scatter(1, first, self.tcl), patches)
        return states.gather(1, first.unsqueeze(2).expand(-1, -1, states.shape[2])).squeeze(1) + states[:, -1]

    def completed(self, features: Tensor, user: Tensor) -> Tensor:
        """A constant 1 behind the vectors, for the biases of `output`.  # [B, d] -> [B, d + 1]"""
        return self.biased(features)

    def biased(self, vectors: Tensor) -> Tensor:
        """Vectors as `output` is scored against.  # [N, d] -> [N, d + 1]"""
        kept = torch.relu(vectors) if self.relu_output else vectors
        return torch.cat([kept, kept.new_ones(len(kept), 1)], 1)


def truncated_normal_(weight: Tensor, generator: torch.Generator | None) -> None:
    """N(0, 0.02) cut at two deviations, as TensorFlow draws (peterrec.md, c)."""
    nn.init.trunc_normal_(weight, std=_STD, a=-2 * _STD, b=2 * _STD, generator=generator)
