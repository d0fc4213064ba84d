"""The site that `make docs` builds of these pages: Sphinx, furo, and Markdown by MyST.

Neither the build nor a reader loads anything from another host.
"""

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "kae"
language = "en"

extensions = ["myst_parser"]
# A heading has the anchor that code hosts give it, so that a link works in both places.
myst_heading_anchors = 3

html_theme = "furo"
html_title = "kae"
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}


def setup(app: Sphinx) -> None:
    """Show diagrams in Mermaid as text: code hosts draw them, the site has no JavaScript for it."""
    app.add_lexer("mermaid", TextLexer)
