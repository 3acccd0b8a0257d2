"""A report as a page: one HTML file in the style of all pages of recretrain, which needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from recretrain import __version__
from recretrain.report.pages.grids import Grid
from recretrain.visible import cell

if TYPE_CHECKING:
    from jinja2 import Template

OWN = "recretrain.report.pages"


def write(grids: Sequence[Grid], heading: str, notes: Sequence[str]) -> str:
    return template("report.html.jinja").render(grids=grids, heading=heading, notes=notes, version=__version__)


def template(name: str, package: str = OWN) -> Template:
    """A template of a package's folder `templates`, which may build on those of the report.

    Whatever text it shows is on one line, without control characters, and shown as text.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(one, "templates") for one in dict.fromkeys([package, OWN])]),
        autoescape=True,
        finalize=_visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _visible(value: object) -> object:
    """Texts as they may be shown; what a template has made itself stays as it is."""
    return cell(value) if type(value) is str else value
