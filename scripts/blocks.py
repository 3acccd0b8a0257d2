"""Write the modules that documents show, so that they can be type-checked: `python scripts/blocks.py FOLDER *.md`.

A python block whose first line is a comment with a file name (`# recretrain/methods/damped.py`) is a module.
"""

import re
import shutil
import sys
from pathlib import Path

MODULE = re.compile(r"^```python\n# (?:[\w./-]+/)?(\w+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(document: str) -> dict[str, str]:
    """The modules of a document by file name; raises ValueError if it shows one name twice."""
    found = MODULE.findall(document)
    if len(dict(found)) < len(found):
        raise ValueError(f"one file name stands over two blocks: {', '.join(sorted(name for name, _ in found))}")
    return dict(found)


def main(folder: Path, documents: list[Path]) -> None:
    """Each document's modules go into one flat folder; a second module of the same name is an error."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for document in documents:
        for name, code in blocks(document.read_text()).items():
            with (folder / name).open("x") as file:
                file.write(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
