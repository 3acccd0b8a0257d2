"""`python -m recretrain` is `recretrain`."""

import sys

from recretrain.commands.cli import program

sys.exit(program())
