#!/usr/bin/env python3
"""Turns a classical multiple-instance set, one HDF5 file with `features` (instances x width), `offsets` (bags + 1) and `labels` (bags), into
what `strandline slide train` reads: bags/<bag>.npy and labels.csv. Needs python3-h5py and python3-numpy.

    make_mil_bags.py SET.bags.h5 FOLDER

As the published experiments do (Wang 2018, Ilse 2018), every feature is shifted and scaled to mean 0 and deviation 1 over all instances;
labels take no part in it.
"""
import pathlib
import sys

import h5py
import numpy as np


def main(source, folder):
    with h5py.File(source, "r") as f:
        features, offsets, labels = f["features"][:].astype(np.float64), f["offsets"][:], f["labels"][:]
    deviation = features.std(0)
    features = (features - features.mean(0)) / np.where(deviation > 0, deviation, 1)
    bags = folder / "bags"
    bags.mkdir(parents=True, exist_ok=True)
    rows = ["slide_id,label"]
    for i, label in enumerate(labels):
        name = f"bag_{i:04d}"
        np.save(bags / f"{name}.npy", features[offsets[i]:offsets[i + 1]].astype(np.float32))
        rows.append(f"{name},{'positive' if label > 0 else 'negative'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    print(f"{folder}: {len(labels)} bags, {features.shape[0]} instances of width {features.shape[1]}")


if len(sys.argv) != 3:
    sys.exit(__doc__)
main(sys.argv[1], pathlib.Path(sys.argv[2]))
