"""The README as an index of packages shows it: no file stands beside it there, so links lead into the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = "recretrain/recretrain"


class Readme(MetadataHookInterface):
    """Gives the package its description."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text()
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text)}


def absolute(readme: str) -> str:
    """The text with each link to a file of the repository in full, that of a picture to the picture itself."""
    pictures = re.sub(r"(!\[[^\]]*\]\()(?!https?:)", rf"\1https://raw.githubusercontent.com/{REPOSITORY}/main/", readme)
    return re.sub(r"(\[[^\]]*\]\()(?!https?:|#)", rf"\1https://github.com/{REPOSITORY}/blob/main/", pictures)
