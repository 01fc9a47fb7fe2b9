#!/usr/bin/env python3
"""Makes the broken DNA inputs of this folder anew (see README.md). Needs samtools and bgzip.

    tests/cases/make_dna_cases.py
"""
import bz2
import gzip
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DATA, IO = 65, 74


def case(name, exit_code, stderr, files=None, arguments=("{dir}/reads",)):
    """Writes one case; `files` maps names to bytes or text."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    args = ["dna", "predict", "-m", "{model}", "-o", "{out}/calls.tsv", *arguments]
    (folder / "args").write_text("\n".join(args) + "\n")
    (folder / "exit").write_text(f"{exit_code}\n")
    (folder / "stderr").write_text(stderr + "\n")
    for file_name, content in (files or {}).items():
        (folder / file_name).write_bytes(content.encode() if isinstance(content, str) else content)


def run(*command, data=None):
    return subprocess.run(command, input=data, check=True, stdout=subprocess.PIPE).stdout


def gz(data):
    return gzip.compress(data, mtime=0)


def paths():
    case("path/missing-file", IO, r"reads: cannot open: No such file")
    case("path/directory", IO, r"cannot read: Is a directory", arguments=["{dir}"])
    case("path/network-address", IO, r"http://localhost/reads.bam: .*only local files", arguments=["http://localhost/reads.bam"])
    case("path/network-address-of-reference", IO, r"https://localhost/ref.fa: .*only local files", {"reads": cram()},
         ["{dir}/reads", "--reference", "https://localhost/ref.fa"])


def foreign():
    case("other/empty-file", DATA, r"reads: the file is empty", {"reads": b""})
    case("other/binary-garbage", DATA, r"reads: byte 0: unknown format", {"reads": random.Random(1).randbytes(512)})
    case("other/plain-words", DATA, r"unknown format: it starts with 'to whom it may conce'", {"reads": "to whom it may concern\n"})
    case("other/bzip2", DATA, r"compressed with bzip2.*bzip2 -dc", {"reads": bz2.compress(b">a\nACGT\n")})
    case("other/hdf5", DATA, r"an HDF5 file", {"reads": b"\x89HDF\r\n\x1a\n" + bytes(64)})
    case("other/variants", DATA, r"a VCF file", {"reads": "##fileformat=VCFv4.2\n#CHROM\tPOS\n"})
    case("other/byte-order-mark", DATA, r"byte-order mark", {"reads": b"\xef\xbb\xbf>a\nACGT\n"})


def fasta():
    case("fasta/only-blank-lines", DATA, r"no record in it", {"reads": "\n\r\n  \n"})
    case("fasta/text-before-the-first-record", DATA, r"reads: line 1, byte 0: text before the first '>'", {"reads": "contigs of may\n>a\nACGT\n"})
    case("fasta/nul-byte", DATA, r"record 'a', line 2, byte 5: a NUL byte", {"reads": b">a\nAC\0GT\n"})
    case("fasta/control-byte", DATA, r"record 'a', line 3, byte 9: the byte 0x07", {"reads": b">a\nACGT\nA\x07\n"})
    case("fasta/protein", DATA, r"record 'p1', line 2, byte 6: the letter 'E' .*protein", {"reads": ">p1\nMKEL\n".replace("L", "LLF")})
    case("fasta/gaps", DATA, r"record 'a', line 2, byte 5: the character '-' .*[Gg]aps", {"reads": ">a\nAC--GT\n"})
    case("fasta/digits", DATA, r"the character '1'", {"reads": ">a\n1 ACGT\n"})
    case("fasta/duplicate-name", DATA, r"record 'a', line 5, byte 13: a second record has this name", {"reads": ">a x\nAC\n>b\nG\n>a y\nGT\n"})
    case("fasta/record-without-name", DATA, r"line 3, byte 7: a record without a name", {"reads": ">a\nAC\n> b\nGT\n"})
    case("fasta/old-macintosh-line-ends", DATA, r"carriage return.*tr", {"reads": ">a\rACGT\r>b\rAC\r"})
    case("fasta/mapping-quality-asked-for", DATA, r"exist only in SAM, BAM and CRAM", {"reads": ">a\nACGT\n"}, ["{dir}/reads", "-q", "10"])
    case("fasta/region-asked-for", DATA, r"regions exist only in SAM", {"reads": ">a\nACGT\n"}, ["{dir}/reads", "-r", "a:1-2"])


def fastq():
    case("fastq/too-few-qualities", DATA, r"record 'b', line 8, byte 21: 4 bases but 3 qualities", {"reads": "@a\nAC\n+\nII\n@b\nACGT\n+\nIII\n@c\nA\n+\nI\n"})
    case("fastq/too-many-qualities", DATA, r"record 'a', line 4, byte 8: 2 bases but 3 qualities", {"reads": "@a\nAC\n+\nIII\n"})
    case("fastq/ends-in-qualities", DATA, r"record 'b'.*ends within this record: 4 bases, 0 qualities", {"reads": "@a\nAC\n+\nII\n@b\nACGT\n+\n"})
    case("fastq/ends-in-bases", DATA, r"record 'b'.*before the '\+' line", {"reads": "@a\nAC\n+\nII\n@b\nACG"})
    case("fastq/no-plus-line", DATA, r"record 'a', line 3, byte 6: the character '@'.*'\+' line .*missing", {"reads": "@a\nAC\n@b\nACGT\n+\nIIII\n"})
    case("fastq/another-name-behind-plus", DATA, r"record 'a'.*repeats another name, 'b'", {"reads": "@a\nAC\n+b\nII\n"})
    case("fastq/control-byte-in-qualities", DATA, r"record 'a', line 4, byte 9: the byte 0x1f among the qualities", {"reads": b"@a\nAC\n+\nI\x1f\n"})
    case("fastq/text-between-records", DATA, r"line 5, byte 11: expected '@'", {"reads": "@a\nAC\n+\nII\nhello\n@b\nA\n+\nI\n"})


def compression():
    letters = "".join(random.Random(2).choices("ACGT", k=4000))
    text = f">a\n{letters}\n".encode()
    whole, block = gz(text), run("bgzip", "-c", data=text)
    damaged = bytearray(whole)
    damaged[-6] ^= 1  # in the checksum
    case("gzip/truncated", DATA, r"reads: byte [0-9]+: the compressed data end in the middle", {"reads": whole[:-100]})
    case("gzip/truncated-in-the-header", DATA, r"truncated or corrupt", {"reads": whole[:9]})
    case("gzip/damaged", DATA, r"the compressed data are damaged", {"reads": bytes(damaged)})
    case("gzip/garbage-behind", DATA, r"the compressed data are damaged", {"reads": whole + b"garbage"})
    case("gzip/nothing-inside", DATA, r"empty inside", {"reads": gz(b"")})
    case("bgzf/no-end-marker", DATA, r"end marker is missing.*--allow-truncated", {"reads": block[:-28]})
    case("bgzf/truncated-block", DATA, r"(end marker is missing|end in the middle)", {"reads": block[: len(block) // 2]})
    case("bgzf/truncated-block-allowed", DATA, r"end in the middle", {"reads": block[: len(block) // 2]}, ["{dir}/reads", "--allow-truncated"])


REFERENCE = {name: "".join(random.Random(seed).choices("ACGT", k=300)) for seed, name in enumerate(("c1", "c2"))}


def fasta_of(contigs):
    return "".join(f">{name}\n{bases}\n" for name, bases in contigs.items())


def sam(count=20):
    lines = ["@HD\tVN:1.6\tSO:coordinate"] + [f"@SQ\tSN:{name}\tLN:300" for name in REFERENCE]
    for i in range(count):
        contig = "c1" if 2 * i < count else "c2"
        at = 7 * (i % (count // 2)) + 1
        lines.append(f"r{i}\t{16 * (i % 2)}\t{contig}\t{at}\t{20 + i}\t50M\t*\t0\t0\t{REFERENCE[contig][at - 1:at + 49]}\t{'I' * 50}")
    return "\n".join(lines) + "\n"


def converted(*options):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "in.sam").write_text(sam())
        (path / "ref.fa").write_text(fasta_of(REFERENCE))
        run("samtools", "view", "--no-PG", "-T", path / "ref.fa", *options, "-o", path / "out", path / "in.sam")
        return (path / "out").read_bytes()


def bam():
    return converted("-b")


def cram():
    # Both contigs in one slice: such slices carry no checksum of the reference.
    return converted("-C", "--output-fmt-option", "multi_seq_per_slice=1")


def indexed(bam_bytes):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.bam"
        path.write_bytes(bam_bytes)
        run("samtools", "index", path)
        return (Path(folder) / "x.bam.bai").read_bytes()


def alignments():
    whole = bam()
    files = {"reads": whole, "reads.bai": indexed(whole)}
    case("bam/no-end-marker", DATA, r"reads: the end marker is missing.*--allow-truncated", {"reads": whole[:-28]})
    case("bam/truncated", DATA, r"reads: byte [0-9]+: record number 1 cannot be read: the file is truncated", {"reads": whole[:-100]},
         ["{dir}/reads", "--allow-truncated"])
    case("bam/truncated-in-the-header", DATA, r"header", {"reads": whole[:60]}, ["{dir}/reads", "--allow-truncated"])
    case("bam/unknown-region", DATA, r"region 'chr1:1-100' is on no contig of this file. Its contigs are 'c1', 'c2'", files, ["{dir}/reads", "-r", "chr1:1-100"])
    case("bam/malformed-region", DATA, r"region 'c1:x-y' cannot be understood", files, ["{dir}/reads", "-r", "c1:x-y"])
    case("bam/region-without-index", DATA, r"regions need an index.*samtools index", {"reads": whole}, ["{dir}/reads", "-r", "c1"])
    case("bam/foreign-index", DATA, r"index", {"reads": whole, "reads.bai": b"no index at all"}, ["{dir}/reads", "-r", "c1"])
    case("bam/bed-of-other-contigs", DATA, r"none of its contigs .'chr1', ....* Its contigs are 'c1', 'c2'", {"reads": whole, "regions.bed": "chr1\t0\t100\n"},
         ["{dir}/reads", "-L", "{dir}/regions.bed"])
    case("bam/malformed-bed", DATA, r"regions.bed: line 2, byte 9: the end of a region is ''", {"reads": whole, "regions.bed": "c1\t0\t100\nc1\t50\n"},
         ["{dir}/reads", "-L", "{dir}/regions.bed"])
    case("bam/missing-bed", IO, r"regions.bed: cannot open", {"reads": whole}, ["{dir}/reads", "-L", "{dir}/regions.bed"])
    case("sam/too-few-fields", DATA, r"reads: line 4: record number 1 cannot be read", {"reads": "\n".join(sam().split("\n")[:3]) + "\nr1\t0\tc1\t1\n"})
    case("sam/no-header", DATA, r"line 1: record number 1 .*@SQ", {"reads": sam().split("\n")[3] + "\n"})
    case("sam/equals-bases", DATA, r"record 'r0'.*'='.*calmd", {"reads": sam().replace(REFERENCE["c1"][:50], "=" * 50)})


def crams():
    whole, reference = cram(), fasta_of(REFERENCE)
    with_reference = ["{dir}/reads", "--reference", "{dir}/ref.fa"]
    changed = dict(REFERENCE, c2=REFERENCE["c2"][:20] + REFERENCE["c2"][20:].replace("ACG", "ACT"))
    case("cram/no-reference", DATA, r"reads: byte [0-9]+: record number 1 cannot be decoded without the reference.*--reference", {"reads": whole})
    case("cram/missing-reference", IO, r"ref.fa: cannot open", {"reads": whole}, with_reference)
    case("cram/changed-reference", DATA, r"contig 'c2' has MD5 [0-9a-f]+ here and [0-9a-f]+ in the reference", {"reads": whole, "ref.fa": fasta_of(changed)}, with_reference)
    case("cram/shorter-reference", DATA, r"contig 'c1' has 300 bases here and 200 in the reference",
         {"reads": whole, "ref.fa": fasta_of(dict(REFERENCE, c1=REFERENCE["c1"][:200]))}, with_reference)
    case("cram/reference-without-the-contig", DATA, r"contig 'c2' is not in the reference", {"reads": whole, "ref.fa": fasta_of({"c1": REFERENCE["c1"]})}, with_reference)
    case("cram/reference-in-plain-gzip", DATA, r"ref.fa: the reference cannot be indexed.*bgzip", {"reads": whole, "ref.fa": gz(reference.encode())}, with_reference)
    case("cram/reference-is-no-fasta", DATA, r"ref.fa: the reference is no FASTA", {"reads": whole, "ref.fa": "hello\n"}, with_reference)
    case("cram/no-end-marker", DATA, r"reads: the end marker is missing.*--allow-truncated", {"reads": whole[:-38], "ref.fa": reference}, with_reference)
    case("cram/truncated", DATA, r"reads: (byte [0-9]+: record number 1 cannot be read|the header)", {"reads": whole[: len(whole) - 100], "ref.fa": reference},
         with_reference + ["--allow-truncated"])


if __name__ == "__main__":
    paths()
    foreign()
    fasta()
    fastq()
    compression()
    alignments()
    crams()
