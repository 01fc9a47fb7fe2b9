#!/usr/bin/env python3
"""The tables of docs/benchmarks/h200.md from what `strandline bench` printed.

    python3 apps/bench/h200_tables.py OUTPUT... > tables.md

OUTPUT: tables as bench prints them, in any number of files. Of a case that is there twice the last counts. A row beside the official figures whose case is
in no file says "not measured yet".
"""
import sys

OPERATION_COLUMNS = "| case | shape | error | median ms | best ms | tokens/s | TFLOP/s | on card |\n|---|---|--:|--:|--:|--:|--:|--:|"
MODEL_COLUMNS = "| case | shape | error | median ms | best ms | tokens/s | on card |\n|---|---|--:|--:|--:|--:|--:|"
OFFICIAL_COLUMNS = "| work | T | official ms | ours ms | ours / official | official GiB | ours on card |\n|---|--:|--:|--:|--:|--:|--:|"
MODELS = {"layer", "layer, both ways", "encoder", "training step"}


def scan(heads, state, length):
    return f"T {length}, {heads} heads of 64, state {state}"


def layer(width, state, length):
    return f"T {length}, d_model {width}, state {state}"


def encoder(width, layers, length):
    return f"1 x {length}, d_model {width}, {layers} layers, causal"


def scan_rows(heads, state, power, forward, both, gib):
    cases = [("ssd_scan", scan(heads, state, 1 << power)), ("ssd_scan backward", scan(heads, state, 1 << power))]
    name = f"scan, H {heads}, N {state}"
    return [(name + ": forward", power, forward, cases[:1], gib[0]), (name + ": forward + backward", power, both, cases, gib[1])]


def pair(name, power, names, shape, times, gib):
    return [(name + ": " + text, power, ms, [(case, shape)], held)
            for text, ms, case, held in zip(("forward", "forward + backward"), times, names, gib)]


# mamba_ssm 2.3.2.post1 with causal-conv1d 1.6.1: milliseconds (the faster of chunk 128 and 256), GiB at most held. "fails": illegal memory access.
# The matrix products are cuBLASLt's, called alone.
LAYER, ENCODER = ("layer", "layer, both ways"), ("encoder", "training step")
OFFICIAL = (
    scan_rows(24, 128, 14, 0.57, 4.66, ("", "")) + scan_rows(24, 128, 16, 1.90, 5.66, ("0.6", "1.3")) +
    scan_rows(24, 128, 18, 6.98, 21.3, ("2.3", "5.2")) + scan_rows(24, 128, 20, 21.4, 77.0, ("12.8", "29.0")) +
    scan_rows(8, 128, 20, 12.2, 38.1, ("4.1", "10.3")) + scan_rows(8, 64, 20, 5.80, 25.7, ("3.6", "8.8")) +
    [("convolution, 1,792 channels: forward", 20, 2.27, [("conv1d", f"T {1 << 20}, 1792 channels, 4 taps")], ""),
     ("matrix product, 768 to 3,352", 20, 7.90, [("linear", f"T {1 << 20}, 768 to 3352")], ""),
     ("matrix product, 256 to 1,288", 20, 1.79, [("linear", f"T {1 << 20}, 256 to 1288")], "")] +
    pair("layer 768, N 128", 17, LAYER, layer(768, 128, 1 << 17), (4.06, 16.9), ("2.6", "5.9")) +
    pair("layer 768, N 128", 19, LAYER, layer(768, 128, 1 << 19), (16.1, 65.9), ("10.4", "23.8")) +
    pair("layer 768, N 128", 20, LAYER, layer(768, 128, 1 << 20), ("fails", "fails"), ("", "")) +
    pair("layer 256, N 128", 20, LAYER, layer(256, 128, 1 << 20), (10.8, 49.7), ("7.6", "18.8")) +
    pair("layer 256, N 64", 20, LAYER[:1], layer(256, 64, 1 << 20), (8.78,), ("6.9",)) +
    pair("encoder 768 x 24", 17, ENCODER, encoder(768, 24, 1 << 17), (107.7, 450.8), ("3.2", "47.3")) +
    pair("encoder 768 x 24", 18, ENCODER, encoder(768, 24, 1 << 18), ("", 882), ("", "94.2"))[1:] +
    pair("encoder 768 x 24", 19, ENCODER, encoder(768, 24, 1 << 19), (441.8, "out of memory"), ("12.1", "")) +
    pair("encoder 768 x 24", 20, ENCODER, encoder(768, 24, 1 << 20), ("fails", "fails"), ("", "")) +
    pair("encoder 256 x 16", 20, ENCODER, encoder(256, 16, 1 << 20), (185.1, 943.6), ("8.6", "95.7")))


def read(path):
    """{(case, shape): (error, median ms, best ms, tokens/s, GFLOP/s, on card) or (why there are no times,)}"""
    rows = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            case, shape, rest = line[:23].strip(), line[24:74].strip(), line[74:].strip()
            if not rest or line.startswith(("#", "case ")):
                continue
            numbers = rest.split(None, 5)
            try:
                float(numbers[1])
                rows[case, shape] = numbers
            except (IndexError, ValueError):
                rows[case, shape] = [rest]
    return rows


def row_of(case, shape, numbers):
    if len(numbers) == 1:
        return f"| {case} | {shape} | {numbers[0]} |"
    error, median, best, tokens, gflop, card = numbers
    cells = [case, shape, error, median, best, f"{int(tokens):,}"]
    if case not in MODELS:
        cells.append("-" if gflop == "-" else f"{float(gflop) / 1000:.1f}")
    return "| " + " | ".join(cells + [card]) + " |"


def official_row(rows, work, power, official, cases, gib):
    found = [rows.get(case) for case in cases]
    ours, ratio, card = "not measured yet", "", ""
    if all(found) and all(len(numbers) == 6 for numbers in found):
        total = sum(float(numbers[1]) for numbers in found)
        ours, card = f"{total:.2f}" if total < 100 else f"{total:.1f}", found[-1][5]
        ratio = f"{total / official:.2f}" if isinstance(official, (int, float)) else ""
    return f"| {work} | 2^{power} | {official} | {ours} | {ratio or '-'} | {gib or '-'} | {card or '-'} |"


def main():
    rows = {}
    for path in sys.argv[1:]:
        rows.update(read(path))
    shown = {"Operations": lambda case: case not in MODELS, "Layer": lambda case: case.startswith("layer"),
             "Encoder and training step": lambda case: case in ENCODER}
    for title, wanted in shown.items():
        print(f"## {title}\n\n{OPERATION_COLUMNS if title == 'Operations' else MODEL_COLUMNS}")
        print("\n".join(row_of(*key, numbers) for key, numbers in rows.items() if wanted(key[0])) + "\n")
    print(f"## Beside the official figures\n\n{OFFICIAL_COLUMNS}")
    print("\n".join(official_row(rows, *row) for row in OFFICIAL))


if __name__ == "__main__":
    main()
