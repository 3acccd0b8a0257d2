"""`python -m recretrain` is `recretrain`."""

import sys

from recretrain.cli import main

sys.exit(main())
