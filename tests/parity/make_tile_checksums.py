#!/usr/bin/env python3
"""Writes tests/parity/golden/slides/<slide>.tsv: SHA-256 of the RGB bytes that openslide-python's read_region gives at
places of a slide, laid over white.

    pip install openslide-python pillow        # with libopenslide 3.4.1 of Debian 12
    tests/parity/make_tile_checksums.py ../shared/data/wsi/CMU-1-Small-Region.svs
"""
import hashlib
import pathlib
import sys

import openslide
from PIL import Image


def places(width, height):
    for side in (256, 240, 100):
        for y in range(0, height, 800):
            for x in range(0, width, 700):
                yield x, y, side, side
    yield width - 100, height - 50, 256, 256  # overruns the slide
    yield -30, -20, 64, 64
    yield width, height, 16, 16  # wholly beyond


def main(path):
    slide = openslide.OpenSlide(path)
    name = pathlib.Path(path).stem
    out = pathlib.Path(__file__).parent / "golden" / "slides" / f"{name}.tsv"
    with out.open("w") as table:
        table.write("x\ty\twidth\theight\tsha256\n")
        for x, y, w, h in places(*slide.dimensions):
            region = slide.read_region((x, y), 0, (w, h))
            white = Image.new("RGBA", region.size, "white")
            rgb = Image.alpha_composite(white, region).convert("RGB")
            table.write(f"{x}\t{y}\t{w}\t{h}\t{hashlib.sha256(rgb.tobytes()).hexdigest()}\n")


main(sys.argv[1])
