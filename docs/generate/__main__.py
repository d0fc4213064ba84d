"""Write the pages of the reference: python -m docs.generate docs/reference"""

import sys
from pathlib import Path

from docs.generate.pages import PAGES

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")
