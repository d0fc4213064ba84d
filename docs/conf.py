"""The site that `make docs` builds of these pages: Sphinx, furo, and Markdown by MyST.

Nothing comes from another host, when it is built or when it is read.
"""

project = "kae"
language = "en"

extensions = ["myst_parser"]
# A heading has the anchor that code hosts give it, so that a link works in both places.
myst_heading_anchors = 3

html_theme = "furo"
html_title = "kae"
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
