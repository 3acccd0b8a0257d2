"""`python -m recretrain` is `recretrain`."""

import sys

from recretrain.commands.cli import main

sys.exit(main())
