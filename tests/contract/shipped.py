"""The methods that ship as cases, composed once a process: each takes a sixth of a second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recretrain.configuration.compose import conf_dir
from recretrain.testing import Case, case, cases

METHODS = sorted(path.stem for path in (conf_dir() / "method").glob("*.yaml"))
DERIVED = {  # those whose files build on another's: their code is that of the other
    name
    for name in METHODS
    if any(f"  - {base}\n" in (conf_dir() / "method" / f"{name}.yaml").read_text() for base in METHODS)
}
SHIPPED: Mapping[str, Sequence[Case]] = {
    name: [case(name)] if name in DERIVED else cases(name) for name in METHODS
}  # of a derived method its own questions alone
