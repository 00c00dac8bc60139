"""Make the pictures of the documentation from those that the browser tests took: `python -m tests.support.pictures`."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.support.browser import SCREENSHOTS
from tests.support.servers import ROOT

DOCS = ROOT / "docs" / "images"
#: Which picture the documentation shows of each page.
CHOSEN = {
    "overview": "overview-light",
    "stuck": "stuck-by-cause-light",
    "chord": "chord-light",
    "queues": "queues-light",
    "trends": "trends-light",
    "doctor": "doctor-light",
}
#: Few enough for a small file, and enough that text stays sharp.
COLOURS = 128


def shrink(picture: Path, target: Path) -> int:
    """Write a picture with a palette of its own; return its bytes."""
    with Image.open(picture) as image:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    return target.stat().st_size


def main() -> None:
    """Write all of them, and say how large they are; end with a sentence where one was not taken."""
    missing = [name for name in CHOSEN.values() if not (SCREENSHOTS / f"{name}.png").exists()]
    if missing:
        sys.exit(f"Not taken yet: {', '.join(missing)}; make screenshots takes them.")
    DOCS.mkdir(parents=True, exist_ok=True)
    for name, chosen in CHOSEN.items():
        size = shrink(SCREENSHOTS / f"{chosen}.png", DOCS / f"{name}.png")
        print(f"docs/images/{name}.png: {size:,} bytes")


if __name__ == "__main__":
    main()
