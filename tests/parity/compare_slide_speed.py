#!/usr/bin/env python3
"""Tiles a second that OpenSlide gives to one thread: openslide_read_region, called through ctypes for each tile of a grid,
row by row, on one handle.

    tests/parity/compare_slide_speed.py SLIDE SIDE [RUNS]
"""
import ctypes
import ctypes.util
import resource
import sys
import time

lib = ctypes.CDLL(ctypes.util.find_library("openslide"))
lib.openslide_open.restype = ctypes.c_void_p
lib.openslide_get_error.restype = ctypes.c_char_p
lib.openslide_get_error.argtypes = [ctypes.c_void_p]
lib.openslide_close.argtypes = [ctypes.c_void_p]
lib.openslide_get_level0_dimensions.argtypes = [ctypes.c_void_p] + [ctypes.POINTER(ctypes.c_int64)] * 2
lib.openslide_read_region.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
                                      ctypes.c_int32, ctypes.c_int64, ctypes.c_int64]


def read_all(path, side):
    slide = lib.openslide_open(path.encode())
    width, height = ctypes.c_int64(), ctypes.c_int64()
    lib.openslide_get_level0_dimensions(slide, ctypes.byref(width), ctypes.byref(height))
    buffer = (ctypes.c_uint32 * (side * side))()
    tiles = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for y in range(0, height.value, side):
        for x in range(0, width.value, side):
            lib.openslide_read_region(slide, buffer, x, y, 0, side, side)
            tiles += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    error = lib.openslide_get_error(slide)
    lib.openslide_close(slide)
    if error:
        sys.exit(f"{path}: {error.decode()}")
    return tiles, wall, cpu


path, side = sys.argv[1], int(sys.argv[2])
for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 5):
    tiles, wall, cpu = read_all(path, side)
    print(f"{tiles} tiles, {tiles / wall:.0f} tiles/s, {tiles / cpu:.0f} tiles per CPU second")
print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
