"""Checks that a retraining method keeps its contract, for methods of one's own too; see `contract`."""

from recretrain.testing.contract import CHECKS, Case, Check, case, cases, learn
from recretrain.testing.streams import open_stream, tasteful_slices, write_stream

__all__ = ["CHECKS", "Case", "Check", "case", "cases", "learn", "open_stream", "tasteful_slices", "write_stream"]
