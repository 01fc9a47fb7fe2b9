#!/usr/bin/env python3
"""Makes the folders tests/cases/tile/*. Run after a change here; the result is committed."""
import pathlib
import shutil
import struct
import zlib

HERE = pathlib.Path(__file__).parent / "tile"
WHITE, PINK = (255, 255, 255), (220, 120, 180)


def tiff(width, height, colour_of, pixels_per_cm=20000, kept=1.0):
    """A stripped RGB TIFF, deflated, one strip; pixels_per_cm 0: no resolution tags; kept: share of the strip that is there."""
    pixels = b"".join(bytes(colour_of(x, y)) for y in range(height) for x in range(width))
    data = zlib.compress(pixels, 9)
    data = data[:int(len(data) * kept)]
    strip_at = 8
    extra_at = strip_at + len(data) + len(data) % 2
    extra = struct.pack("<3H", 8, 8, 8) + b"\0\0" + struct.pack("<2I", pixels_per_cm, 1)
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, extra_at), (259, 3, 1, 8), (262, 3, 1, 2),
        (273, 4, 1, strip_at), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)), (284, 3, 1, 1)]
    if pixels_per_cm:
        entries += [(282, 5, 1, extra_at + 8), (283, 5, 1, extra_at + 8), (296, 3, 1, 3)]
    entries.sort()
    directory = struct.pack("<H", len(entries))
    for tag, kind, count, value in entries:
        directory += struct.pack("<HHI", tag, kind, count)
        directory += struct.pack("<HH", value, 0) if kind == 3 and count == 1 else struct.pack("<I", value)
    padding = b"\0" * (len(data) % 2)
    head = b"II*\0" + struct.pack("<I", extra_at + len(extra))
    return head + data + padding + extra + directory + b"\0\0\0\0"


def square(x, y):
    return PINK if 64 <= x < 192 and 64 <= y < 192 else WHITE


def noisy(x, y):
    return (x * 37 + y * 91) % 256, (x * 53 ^ y * 17) % 256, (x * y) % 256


def case(name, arguments, exit_code, stderr=None, files=None, leaves=None):
    folder = HERE / name
    folder.mkdir(parents=True)
    (folder / "args").write_text("\n".join(["slide", "tile", *arguments]) + "\n")
    (folder / "exit").write_text(f"{exit_code}\n")
    for file, text in {"stderr": stderr, "leaves": leaves}.items():
        if text is not None:
            (folder / file).write_text(text + "\n")
    for file, content in (files or {}).items():
        (folder / file).write_bytes(content)


LIST = "result/process_list.tsv"
GOOD = tiff(256, 256, square)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    to = ["-o", "{out}"]
    small = ["--patch", "32", "--min-area", "0.01", *to]
    case("good", ["{dir}/good.tif", "--quiet", *small], 0, files={"good.tif": GOOD})
    case("not-a-slide", ["{dir}/page.svs", *to], 65, "page.svs: not a slide: neither OpenSlide .* nor libtiff",
         {"page.svs": b"<html>moved</html>"}, LIST)
    case("empty-file", ["{dir}/empty.svs", *to], 65, "empty.svs: not a slide", {"empty.svs": b""}, LIST)
    case("missing-file", ["{dir}/missing.svs", *to], 74, "missing.svs: cannot open: No such file", leaves=LIST)
    case("network-address", ["https://example.org/a.svs", *to], 74, "https://example.org/a.svs: cannot use a network address",
         leaves=LIST)
    case("truncated-directory", ["{dir}/cut.tif", *to], 65, "cut.tif: not a TIFF that can be read",
         {"cut.tif": GOOD[:len(GOOD) - 60]}, LIST)
    damaged = tiff(96, 96, noisy, kept=0.5)
    case("damaged-pixels", ["{dir}/damaged.tif", *to], 65, "damaged.tif: the tile or strip at x 0, y 0 of level 0 cannot",
         {"damaged.tif": damaged}, LIST)
    case("damaged-pixels-masked", ["{dir}/damaged.tif", "--on-bad-tile", "mask", *to], 0,
         "damaged: .*cannot be decoded\n1 slide: 0 with patches .0., 1 empty, 0 failed", {"damaged.tif": damaged})
    case("no-tissue", ["{dir}/glass.tif", *to], 0, "glass: no tissue found.*--min-area\n1 empty, 0 failed",
         {"glass.tif": tiff(256, 256, lambda x, y: WHITE)})
    case("no-mpp", ["{dir}/a.tif", *to], 65, "a.tif: micrometres per pixel are not known.*--assume-mpp 0.5",
         {"a.tif": tiff(256, 256, square, 0)}, LIST)
    case("no-mpp-assumed", ["{dir}/a.tif", "--assume-mpp", "0.5", "--quiet", *small], 0,
         files={"a.tif": tiff(256, 256, square, 0)})
    case("mpp-of-a-screen", ["{dir}/a.tif", *to], 65, "resolution tags that say 357.* um, which no microscope has",
         {"a.tif": tiff(256, 256, square, 28)}, LIST)
    case("coarser-than-asked-for", ["{dir}/a.tif", "--mpp", "0.5", *to], 65,
         "finest level has 2 um per pixel, coarser than the 0.5 um asked for. Ask for --mpp 2",
         {"a.tif": tiff(256, 256, square, 5000)}, LIST)
    case("one-bad-among-good", ["{dir}/bad.svs", "{dir}/good.tif", *small], 65,
         "bad failed: .*not a slide\n2 slides: 1 with patches .24., 0 empty, 1 failed\n1 slide failed; .*process_list.tsv",
         {"bad.svs": b"text", "good.tif": GOOD},
         f"{LIST}\nresult/(masks|thumbnails|20x_32px_0px_overlap/visualization)/good.png\n"
         "result/contours_geojson/good.geojson\nresult/20x_32px_0px_overlap/patches/good_patches.h5")
    case("two-of-one-name", ["{dir}/a.tif", "{dir}/a.svs", *to], 65, "a.svs: its results would have the name",
         {"a.tif": GOOD, "a.svs": GOOD})
    case("folder-without-slides", ["{dir}", *to], 65, "there is no slide in this folder")
    case("output-is-a-file", ["{dir}/good.tif", "-o", "{dir}/good.tif"], 74, "good.tif: cannot create", {"good.tif": GOOD})
    case("preset-with-an-even-median", ["{dir}/good.tif", "--tissue-preset", "{dir}/preset.csv", *to], 65,
         "preset.csv: line 2: .*must be odd", {"good.tif": GOOD, "preset.csv": b"sthresh,mthresh\n8,4\n"})
    case("unknown-preset", ["{dir}/good.tif", "--tissue", "large", *to], 2, "--tissue.*large", {"good.tif": GOOD})
    case("overlap-of-a-patch", ["{dir}/good.tif", "--overlap", "256", *to], 2, "--overlap.*not less than --patch",
         {"good.tif": GOOD})
    case("no-slide-named", [*to], 2, "slides is required")
    case("no-output", ["{dir}/good.tif"], 2, "--output is required", {"good.tif": GOOD})
    real = "{data}/wsi/"
    case("real-small-region", [real + "CMU-1-Small-Region.svs", "--check", *to], 0, "1 slide: 1 with patches .64.")
    case("real-dicom", [real + "highdicom_sm_image.dcm", *to], 65, "a DICOM file, which OpenSlide", leaves=LIST)
    case("real-unknown-compression", [real + "osp_unopenable.tiff", *to], 65, "Unsupported TIFF compression", leaves=LIST)
    case("real-bad-tile", [real + "osp_unreadable.svs", *to], 65, "cannot be read .OpenSlide: ", leaves=LIST)
    case("real-bad-tile-masked", [real + "osp_unreadable.svs", "--on-bad-tile", "mask", *to], 0,
         "cannot be read .OpenSlide: .*\n1 empty, 0 failed")
    case("real-grey-strips", [real + "pathml_smalltif.tif", "--assume-mpp", "0.5", *to], 0, "no tissue found")
    case("real-zero-strips", [real + "li_zero_gi.tif", *to], 65, "zero number of strips", leaves=LIST)


main()
