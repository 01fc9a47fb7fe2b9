#!/usr/bin/env python3
"""Writes tiny bags of patch features into tests/parity/bags, in the layouts of the programs that people have. Needs torch,
h5py and numpy; run once, the results are committed. All hold the same six patches of width 4, features[i, j] = i - j / 4
(exact in every float type), coordinates in the order that CLAM or TRIDENT would give them.
"""
import pathlib
import sys
import zipfile

import h5py
import numpy as np
import torch

OUT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "bags")
N, D = 6, 4
FEATURES = (np.arange(N)[:, None] - np.arange(D)[None, :] / 4).astype(np.float32)
COORDS = np.array([[512, 256], [512, 512], [768, 256], [768, 512], [1024, 256], [1024, 512]], np.int64)  # x slow, y fast


def clam_features(path, libver="earliest"):
    """h5_files/<slide>.h5: two resizable datasets, no attributes."""
    with h5py.File(path, "w", libver=libver) as f:
        f.create_dataset("features", data=FEATURES, maxshape=(None, D), chunks=(32, D))
        f.create_dataset("coords", data=COORDS.astype(np.int32), maxshape=(None, 2), chunks=(32, 2))


def clam_patches(path):
    with h5py.File(path, "w", libver="earliest") as f:
        coords = f.create_dataset("coords", data=COORDS, maxshape=(None, 2), chunks=(32, 2))
        for key, value in {"patch_size": 256, "patch_level": 1, "downsample": (4.0, 4.0), "downsampled_level_dim": (4000, 3000),
                           "level_dim": (4000, 3000), "name": "slide_1", "save_path": "/results/patches"}.items():
            coords.attrs[key] = value


TRIDENT_ATTRIBUTES = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20,
                      "overlap": 0, "name": "slide_1", "savetodir": "/job/20x_256px_0px_overlap", "level0_width": 16000,
                      "level0_height": 12000}


def trident(path, libver, rows=N, dtype=np.float32):
    """features_<encoder>/<slide>.h5: one row per chunk, eleven attributes."""
    with h5py.File(path, "w", libver=libver) as f:
        features = f.create_dataset("features", shape=(0, D), maxshape=(None, D), chunks=(1, D), dtype=dtype)
        coords = f.create_dataset("coords", shape=(0, 2), maxshape=(None, 2), chunks=(1, 2), dtype=np.int64)
        for begin in range(0, rows, 4):
            end = min(rows, begin + 4)
            features.resize(end, axis=0)
            features[begin:end] = FEATURES[begin:end]
            coords.resize(end, axis=0)
            coords[begin:end] = COORDS[begin:end]
        for key, value in {"name": "slide_1", "savetodir": "/job", "encoder": "uni_v1"}.items():
            features.attrs[key] = value
        for key, value in TRIDENT_ATTRIBUTES.items():
            coords.attrs[key] = value


def stamp(path):
    with h5py.File(path, "w", libver="earliest") as f:
        f["feats"] = FEATURES.astype(np.float16)
        f["coords"] = (COORDS / 2).astype(np.float32)  # micrometres
        for key, value in {"stamp_version": "2.3.0", "extractor": "uni", "unit": "um", "tile_size_um": 256.0,
                           "tile_size_px": 512, "code_hash": "0123abcd", "feat_type": "tile"}.items():
            f.attrs[key] = value


def other_hdf5():
    with h5py.File(OUT / "squeezed.h5", "w", libver="earliest") as f:
        f["features"] = FEATURES[None].astype(np.float64)
        f["coords"] = COORDS[None].astype(np.uint16)
    with h5py.File(OUT / "packed.h5", "w", libver="earliest") as f:
        f.create_dataset("features", data=FEATURES.astype(">f4"), chunks=(4, 3), compression="gzip", shuffle=True, fletcher32=True)
        f.create_dataset("coords", data=COORDS, chunks=(4, 2), compression="lzf")
    with h5py.File(OUT / "compact.h5", "w", libver="v108", userblock_size=512) as f:
        f["features"] = FEATURES
        f["coords"] = COORDS.astype(np.float64)
        f["coords"].attrs["patch_size_level0"] = 256
    with h5py.File(OUT / "latest.h5", "w", libver="latest") as f:
        f.create_dataset("features", data=FEATURES, maxshape=(None, D), chunks=(2, D))
        f["coords"] = COORDS
    with h5py.File(OUT / "never_written.h5", "w", libver="earliest") as f:
        features = f.create_dataset("features", shape=(4, D), maxshape=(None, D), chunks=(2, D), dtype=np.float32)
        features[0:2] = FEATURES[0:2]
        f["coords"] = COORDS[:4]
    with h5py.File(OUT / "slide_embedding.h5", "w", libver="earliest") as f:
        f["features"] = FEATURES[0]
    with h5py.File(OUT / "no_features.h5", "w", libver="earliest") as f:
        f["other"] = FEATURES
    with h5py.File(OUT / "fewer_coords.h5", "w", libver="earliest") as f:
        f["features"] = FEATURES
        f["coords"] = COORDS[:5]
    with h5py.File(OUT / "nan.h5", "w", libver="earliest") as f:
        bad = FEATURES.copy()
        bad[3, 1] = np.nan
        f["features"] = bad
        f["coords"] = COORDS


class Runs:
    """A pickle that would run a program if it were unpickled."""

    def __reduce__(self):
        import os
        return (os.system, ("echo harm",))


def torch_files():
    tensor = torch.from_numpy(FEATURES)
    torch.save(tensor, OUT / "zip.pt")
    torch.save(tensor, OUT / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(tensor.half(), OUT / "half.pt")
    torch.save(tensor.bfloat16()[None], OUT / "bfloat16.pt")
    torch.save(torch.cat([tensor, tensor], 1)[:, D:], OUT / "view.pt")
    torch.save(tensor.double(), OUT / "double_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(tensor, OUT / "protocol4.pt", pickle_protocol=4)
    torch.save(tensor.t(), OUT / "transposed.pt")
    torch.save({"features": tensor}, OUT / "dictionary.pt")
    torch.save(Runs(), OUT / "runs_code.pt")
    torch.save(Runs(), OUT / "runs_code_legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(torch.nn.Parameter(tensor), OUT / "parameter.pt")
    torch.save(FEATURES, OUT / "numpy.pt")
    torch.save(tensor, OUT / "slideflow.pt")
    np.savez(OUT / "slideflow.index.npz", COORDS)
    np.savez_compressed(OUT / "deflated.index.npz", COORDS.astype(np.int32))
    torch.save(tensor, OUT / "deflated.pt")
    # A tensor whose shape claims far more than its storage has.
    source = zipfile.ZipFile(OUT / "zip.pt")
    with zipfile.ZipFile(OUT / "too_large.pt", "w") as archive:
        for name in source.namelist():
            data = source.read(name)
            archive.writestr(name, data.replace(b"K\x06K\x04\x86", b"J\xff\xff\xff\x7fK\x04\x86") if name.endswith("data.pkl") else data)


def numpy_files():
    np.save(OUT / "float32.npy", FEATURES)
    np.save(OUT / "float16.npy", FEATURES.astype(np.float16)[None])
    np.save(OUT / "big_endian.npy", FEATURES.astype(">f8"))
    np.save(OUT / "columns.npy", np.asfortranarray(FEATURES))
    np.save(OUT / "objects.npy", np.array([[{}]], dtype=object), allow_pickle=True)


OUT.mkdir(exist_ok=True)
clam_features(OUT / "clam.h5")
clam_features(OUT / "clam_v108.h5", "v108")
clam_patches(OUT / "clam_patches.h5")
trident(OUT / "trident.h5", "earliest")
trident(OUT / "trident_v108.h5", ("v108", "v108"))
trident(OUT / "trident_half.h5", "earliest", dtype=np.float16)
trident(OUT / "trident_empty.h5", "earliest", rows=0)
stamp(OUT / "stamp.h5")
other_hdf5()
torch_files()
numpy_files()
print("\n".join(f"{p.name} {p.stat().st_size}" for p in sorted(OUT.iterdir())))
