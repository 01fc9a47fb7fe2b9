#!/usr/bin/env python3
"""Writes the folders tests/cases/slide/*: label tables, splits and bags that `slide train` must refuse. Needs numpy; takes HDF5 and .pt
files from tests/parity/bags (make_bags.py)."""
import pathlib
import shutil

import numpy as np

HERE = pathlib.Path(__file__).parent
OUT = HERE / "slide"
BAGS = HERE.parent / "parity" / "bags"
SLIDES = [f"s{i}" for i in range(6)]
TABLE = "case_id,slide_id,label\n" + "".join(f"p{i},{s},{'tumour' if i % 2 else 'normal'}\n" for i, s in enumerate(SLIDES))


def case(name, stderr, exit_code=65, table=TABLE, bags=SLIDES, extra=(), width=2, replace=None, folds=3):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bags").mkdir(parents=True)
    for i, slide in enumerate(bags):
        np.save(folder / "bags" / f"{slide}.npy", np.full((3, width), i, np.float16))
    for target, source in (replace or {}).items():
        data = source if isinstance(source, bytes) else (BAGS / source).read_bytes()
        (folder / "bags" / target).write_bytes(data)
        for old in (folder / "bags").glob(pathlib.Path(target).stem + ".npy"):
            if old.name != target:
                old.unlink()
    (folder / "labels.csv").write_text(table)
    args = ["slide", "train", "--features", "{dir}/bags", "--table", "{dir}/labels.csv", "--folds", str(folds), "-q", "-o", "{out}/run", *extra]
    (folder / "args").write_text("\n".join(args) + "\n")
    (folder / "exit").write_text(f"{exit_code}\n")
    (folder / "stderr").write_text(stderr + "\n")
    return folder


def with_row(row):
    return TABLE + row + "\n"


case("no-such-column", r"no column 'slide_id'.*The columns are 'case_id', 'slide', 'label'", table=TABLE.replace("slide_id", "slide"))
case("slide-twice", r"line 8, column 'slide_id': the slide 's0' is there twice", table=with_row("p0,s0,normal"))
case("one-class", r"1 different labels; a classifier needs two", table=TABLE.replace("tumour", "normal"))
case("slide-without-features", r"labels.csv: 1 slides have no features in .*: s9.*--missing skip", table=with_row("p9,s9,normal"))
case("features-without-row", r"bags: 1 slides are not in .*labels.csv: s7", bags=[*SLIDES, "s7"])
case("class-with-fewer-patients-than-folds", r"the class 'normal' has 3 patients, fewer than 4 folds", folds=4)
case("features-of-another-width", r"s3.npy: has 5 features per patch, but .*s0.npy has 2", bags=SLIDES)
np.save(OUT / "features-of-another-width/bags/s3.npy", np.zeros((3, 5), np.float32))
folder = case("no-features-in-the-folder", r"bags: the folder has no features", bags=[])
(folder / "bags/notes.txt").write_text("features will come\n")
case("two-files-for-one-slide", r"s2.*has features of the same slide as", replace=None, extra=[])
shutil.copy(BAGS / "zip.pt", OUT / "two-files-for-one-slide/bags/s2.pt")
case("slide-without-patches", r"s1.h5: the slide has no patches", replace={"s1.h5": "trident_empty.h5"})
case("no-coordinates-for-the-order", r"s0.npy: has no coordinates, which the patch order 'hilbert' needs.*--coords",
     extra=["--patch-order", "hilbert"])
case("truncated-hdf5", r"s4.h5: byte 9000: the HDF5 file is truncated", replace={"s4.h5": (BAGS / "trident.h5").read_bytes()[:9000]})
case("not-a-bag", r"s4.h5: not a file of features", replace={"s4.h5": b"this is a note, not HDF5\n"})
case("pickle-that-runs-code", r"s4.pt: byte [0-9]+: the pickle asks for '[a-z]*.system'.*nothing is run", replace={"s4.pt": "runs_code.pt"})
case("pickle-of-a-dictionary", r"s4.pt: holds a dictionary, not a bare tensor", replace={"s4.pt": "dictionary.pt"})
case("missing-table", r"labels.csv: cannot open", exit_code=74, table="")
(OUT / "missing-table/labels.csv").unlink()
case("unknown-aggregator", r"--model: 'abml' is no aggregator; there are mean, max, abmil", exit_code=2, extra=["--model", "abml"])
case("unknown-field", r"--set width: there is no such field; there are d_model", exit_code=2, extra=["--set", "width=3"])
folder = case("patient-in-two-folds", r"splits_0.csv: record 's5': the patient 'p0' is in train and in test", extra=["--splits", "{dir}/splits"],
              table=TABLE.replace("p5", "p0"))
(folder / "splits").mkdir()
(folder / "splits/splits_0.csv").write_text(",train,val,test\n0,s0,s2,s4\n1,s1,s3,s5\n")
