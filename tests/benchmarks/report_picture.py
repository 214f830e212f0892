"""Makes a picture of an audit's report for a document: the page is drawn anew from its audit.json.

    python tests/benchmarks/report_picture.py audit.json picture.png [--sections verdicts plane]

Shows the head of the page and the sections named, by their anchors, in headless Chromium (Debian: chromium).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageChops

from deid.audit.report import read_result, render

LARGEST = 150_000
TALLEST = 6000
MARGIN = 16
COLOURS = (256, 128, 64, 32)


def shortened(page, sections):
    """The page without its foot and all sections but some."""
    known = re.findall(r'<section id="([\w-]+)"', page)
    if unknown := sorted(set(sections) - set(known)):
        sys.exit(f"no such section: {', '.join(unknown)}; there are: {', '.join(known)}")
    for name in set(known) - set(sections):
        page = re.sub(rf'<section id="{name}".*?</section>', "", page, flags=re.DOTALL)
    return re.sub(r"<footer>.*?</footer>", "", page, flags=re.DOTALL)


def photographed(page, chromium, width, folder):
    """The page in a window that is taller than it."""
    (folder / "page.html").write_text(page, encoding="utf-8")
    picture = folder / "page.png"
    options = [
        "--headless=new",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={folder / 'profile'}",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # Chromium refuses to run as root otherwise
    options += [
        f"--window-size={width},{TALLEST}",
        f"--screenshot={picture}",
        (folder / "page.html").as_uri(),
    ]
    subprocess.run([chromium, *options], check=True, stderr=subprocess.DEVNULL, timeout=120)
    with Image.open(picture) as taken:
        return taken.convert("RGB")


def trimmed(picture):
    """Without the empty ground below what is shown."""
    ground = Image.new("RGB", picture.size, picture.getpixel((0, picture.height - 1)))
    box = ImageChops.difference(picture, ground).getbbox()
    if box is None:
        sys.exit("the page is empty")
    return picture.crop((0, 0, picture.width, min(picture.height, box[3] + MARGIN)))


def save(picture, path):
    """As PNG of as many colours as keep it small enough."""
    for colours in COLOURS:
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= LARGEST:
            print(f"{picture.width} x {picture.height}, {colours} colours, {path.stat().st_size:,} bytes")
            return
    path.unlink()
    sys.exit(f"the picture is larger than {LARGEST:,} bytes; name fewer sections or a smaller --width")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("result", type=Path, help="audit.json")
    parser.add_argument("picture", type=Path, help="PNG to write")
    parser.add_argument("--sections", nargs="+", default=["verdicts"], metavar="ID")
    parser.add_argument("--width", type=int, default=1120, help="of the window, in pixels")
    parser.add_argument("--chromium", default="chromium", help="the browser's command")
    given = parser.parse_args()
    page = shortened(render(read_result(given.result)), given.sections)
    with tempfile.TemporaryDirectory() as folder:
        save(trimmed(photographed(page, given.chromium, given.width, Path(folder))), given.picture)


if __name__ == "__main__":
    main()
