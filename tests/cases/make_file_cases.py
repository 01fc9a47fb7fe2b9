#!/usr/bin/env python3
"""Makes the broken models, safetensors files and tables of this folder anew (see README.md). Needs h5py for one of them.

    tests/cases/make_file_cases.py
"""
import gzip
import json
import shutil
import struct
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA, IO = 65, 74
MODEL = ["dna", "embed", "-m", "{dir}/model.h5", "-o", "{out}", "{dir}/reads.fa"]
IMPORT = ["model", "import", "{dir}/model.safetensors", "-o", "{out}"]
TRAIN = ["dna", "train", "--table", "{dir}/train.tsv", "-o", "{out}"]


def case(name, arguments, exit_code, stderr, files):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "args").write_text("\n".join(arguments) + "\n")
    (folder / "exit").write_text(f"{exit_code}\n")
    (folder / "stderr").write_text(stderr + "\n")
    for file_name, content in files.items():
        (folder / file_name).write_bytes(content.encode() if isinstance(content, str) else content)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def header_block(version=1, kind="model", size=0, body=0, at=0, length=0, manifest=0):
    text = (f"strandline-file version {version:010} kind {kind:<9} file-bytes {size:020} body-crc32c {body:08x} "
            f"manifest-offset {at:020} manifest-bytes {length:020} manifest-crc32c {manifest:08x}\n").encode()
    block = text.ljust(504, b"\0")
    return block + f"{crc32c(block):08x}".encode()


def model_file(version=1, kind="model", tensor=b"\0\0\x80\x3f", shape="1", spoil=None):
    """As docs/formats.md says, less what is HDF5's: readers of ours look at the header, the manifest and the data."""
    body, rows = b"", ["dataset\ttype\tshape\toffset\tcrc32c"]
    for name, kind_of_number, size, data in [("config", "u8", "2", b"{}"), ("metadata", "u8", "2", b"{}"),
                                             ("tensors/head.bias", "f32", shape, tensor)]:
        rows.append(f"{name}\t{kind_of_number}\t{size}\t{512 + len(body)}\t{crc32c(data):08x}")
        body += data
    manifest = ("\n".join(rows) + "\n").encode()
    at = 512 + len(body)
    body += manifest
    block = header_block(version, kind, 512 + len(body), crc32c(body), at, len(manifest), crc32c(manifest))
    whole = bytearray(block + body)
    if spoil is not None:
        whole[spoil] ^= 1
    return bytes(whole)


def foreign_hdf5():
    import h5py
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x", data=[1])
        return path.read_bytes()


def models():
    def model(name, stderr, content, exit_code=DATA):
        files = {"reads.fa": ">a\nACGT\n"}
        if content is not None:
            files["model.h5"] = content
        case("model/" + name, MODEL, exit_code, stderr, files)

    whole = model_file()
    model("missing", r"model\.h5: cannot open: No such file", None, IO)
    model("empty", r"model\.h5: the file is empty, not a model file", b"")
    model("not-hdf5", r"model\.h5: not a model file: it is not HDF5", "hello\n")
    model("foreign-hdf5", r"model\.h5: an HDF5 file, but not one that this program wrote", foreign_hdf5())
    model("newer-version", r"format version 2; this program reads up to 1\. Use a newer strandline", model_file(version=2))
    model("optimizer-state", r"a file of kind 'optimizer', not 'model'", model_file(kind="optimizer"))
    model("truncated", r"the model file is truncated: 600 bytes instead of [0-9]+", whole[:600])
    model("truncated-in-the-header", r"the model file is truncated within its header", whole[:100])
    model("damaged-header", r"byte 0: the header of the model file is damaged", model_file(spoil=30))
    model("damaged-tensor", r"the dataset 'tensors/head\.bias' does not match its checksum", model_file(spoil=517))
    model("damaged-manifest", r"the dataset 'manifest' does not match its checksum", model_file(spoil=530))
    model("not-finite", r"the tensor 'head\.bias' is not finite at element 0", model_file(tensor=b"\0\0\xc0\x7f"))
    model("tensor-beyond-the-end", r"the dataset 'tensors/head\.bias' does not lie within the file", model_file(shape="1000000x1000000"))
    model("foreign-bytes-at-the-end", r"the model file has foreign bytes at its end", whole + b"x")


def safetensors():
    def weights(name, stderr, content):
        case("safetensors/" + name, IMPORT, DATA, stderr, {"model.safetensors": content})

    def file_of(header, data=b"\0\0\0\0"):
        text = header if isinstance(header, bytes) else json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    def tensor(**changes):
        return {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes

    weights("empty", r"shorter than 8 bytes", b"")
    weights("not-safetensors", r"its header would have [0-9]+ bytes", b"hello, this is text\n")
    weights("truncated", r"truncated: 2 bytes of the tensors are missing", file_of({"a": tensor()}, b"\0\0"))
    weights("truncated-in-the-header", r"ends within its safetensors header", file_of({"a": tensor()})[:20])
    weights("duplicate-name", r"the name 'a' is there twice", file_of(b'{"a":%s,"a":{}}' % json.dumps(tensor()).encode()))
    weights("hole", r"record 'a': .*the data have a hole before byte 4", file_of({"a": tensor(data_offsets=[4, 8])}, bytes(8)))
    weights("overlap", r"the data have an overlap", file_of({"a": tensor(), "b": tensor()}))
    weights("bytes-after-the-end", r"1 bytes after its last tensor", file_of({"a": tensor()}, bytes(5)))
    weights("size-overflow", r"record 'a': the shape does not fit in 63 bits", file_of({"a": tensor(shape=[2**62, 8])}))
    weights("deep-nesting", r"a list where there should be none", file_of(b'{"a":' + b"[" * 5000))
    weights("unknown-type", r"there is no type 'F33'", file_of({"a": tensor(dtype="F33")}))
    weights("not-json", r"the safetensors header is not valid JSON", file_of(b"{nonsense}"))


def tables():
    def table(name, stderr, content, exit_code=DATA):
        case("table/" + name, TRAIN, exit_code, stderr, {} if content is None else {"train.tsv": content})

    table("missing-file", r"train\.tsv: cannot open: No such file", None, IO)
    table("empty", r"train\.tsv: the file is empty", "")
    table("row-too-short", r"train\.tsv: line 3: the row has 1 fields, the header 2", "sequence\tlabel\nACGT\ta\nACGT\n")
    table("row-too-long", r"train\.tsv: line 2: the row has 3 fields, the header 2", "sequence,label\nACGT,a,b\n")
    table("column-twice", r"the column 'label' is there twice", "sequence\tlabel\tlabel\n")
    table("without-its-columns", r"there is no column 'sequence'.*The columns are 'seq', 'label'", "seq\tlabel\nACGT\ta\n")
    table("nul-byte", r"train\.tsv: line 2: a NUL byte in a text table", b"sequence\tlabel\nAC\0GT\ta\n")
    table("utf-16", r"a NUL byte in a text table", "sequence\tlabel\nACGT\ta\n".encode("utf-16"))
    table("open-quote", r"line 2: the quote that opens here is never closed", 'sequence,label\nACGT,"a\nACGT,b\n')
    table("text-after-quote", r"line 2: text after the closing quote", 'sequence,label\n"ACGT"x,a\n')
    whole = gzip.compress(b"sequence\tlabel\n" + b"ACGT\ta\n" * 50, mtime=0)
    table("truncated-gzip", r"the compressed data end in the middle", whole[:-9])
    table("damaged-gzip", r"the compressed data are damaged", whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:])


if __name__ == "__main__":
    models()
    safetensors()
    tables()
