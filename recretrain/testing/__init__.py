"""Checks that a retraining method keeps its contract, for methods of one's own too; see `contract`."""

from collections.abc import Sequence

from recretrain.testing.contract import ORDINARY, Case, Check, case, cases, learn
from recretrain.testing.growth import grows_with_its_data
from recretrain.testing.streams import open_stream, tasteful_slices, write_stream
from recretrain.testing.unusual import UNUSUAL

__all__ = ["CHECKS", "Case", "Check", "case", "cases", "learn", "open_stream", "tasteful_slices", "write_stream"]

CHECKS: Sequence[Check] = (*UNUSUAL, grows_with_its_data, *ORDINARY)
