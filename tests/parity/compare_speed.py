#!/usr/bin/env python3
"""Times our CPU encoder beside transformers' Mamba2Model: same weights, machine and number of threads, fp32.

    python3 tests/parity/compare_speed.py path/to/strandline [--threads 2] [--json out.json]

Needs PyTorch and transformers, and a strandline program that runs on this machine. Makes a random model (d_model 256,
4 layers, d_state 128), hands it over as safetensors, checks that both give the same mean-pooled hidden state, then
times forward passes at 4,096 and 16,384 tokens and one training step (forward, backward, AdamW) at 4,096.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import torch
import transformers
from safetensors.torch import save_file
from transformers import Mamba2Config, Mamba2Model

FORWARD_LENGTHS = [4096, 16384]
TRAIN_LENGTH = 4096
TOKEN_OF = {"A": 7, "C": 8, "G": 9, "T": 10}


def make_model():
    torch.manual_seed(1)
    config = Mamba2Config(vocab_size=16, hidden_size=256, num_hidden_layers=4, state_size=128, num_heads=8, head_dim=64,
                          n_groups=1, expand=2, conv_kernel=4, chunk_size=256, use_bias=False, pad_token_id=0,
                          bos_token_id=0, eos_token_id=0, tie_word_embeddings=True, architectures=["Mamba2ForCausalLM"])
    return Mamba2Model(config).float()


def median_seconds(action, repeats):
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def time_transformers(model, repeats):
    """Yields (work, seconds), cheapest first: the last ones take minutes."""
    ids = {length: torch.randint(7, 11, (1, length)) for length in FORWARD_LENGTHS}

    def forward(length):
        with torch.no_grad():
            model(input_ids=ids[length], use_cache=False)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def step():
        optimizer.zero_grad()
        model(input_ids=ids[TRAIN_LENGTH], use_cache=False).last_hidden_state.mean().backward()
        optimizer.step()

    yield f"forward {FORWARD_LENGTHS[0]}", median_seconds(lambda: forward(FORWARD_LENGTHS[0]), repeats)
    yield f"training step {TRAIN_LENGTH}", median_seconds(step, repeats)
    for length in FORWARD_LENGTHS[1:]:
        yield f"forward {length}", median_seconds(lambda: forward(length), repeats)


def hand_over(model, folder):
    config = {key: value for key, value in model.config.to_dict().items() if isinstance(value, (bool, int, float, str))}
    config["architectures"] = ["Mamba2ForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    weights = {f"backbone.{name}": value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def same_result(model, program, folder):
    """Largest difference of the mean hidden state of one random read, relative to its largest value."""
    letters = "".join("ACGT"[i] for i in torch.randint(0, 4, (4096,)).tolist())
    (folder / "read.fa").write_text(">read\n" + letters + "\n")
    subprocess.run([program, "dna", "embed", "-m", folder / "model.h5", folder / "read.fa", "-o", folder / "read.npy"],
                   check=True, stderr=subprocess.DEVNULL)
    import numpy
    ours = torch.from_numpy(numpy.load(folder / "read.npy"))[0]
    with torch.no_grad():
        theirs = model(input_ids=torch.tensor([[TOKEN_OF[x] for x in letters]])).last_hidden_state[0].mean(0)
    return float((ours - theirs).abs().max() / theirs.abs().max())


def time_ours(program, folder, threads):
    command = [program, "bench", "--model", folder / "model.h5", "-t", str(threads), "--json"]
    for length in FORWARD_LENGTHS:
        command += ["--length", str(length)]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return {f"{row['case']} {row['shape'].split()[-1]}": row["median_s"] for row in report["cases"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = make_model()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        hand_over(model, folder)
        subprocess.run([args.program, "model", "import", folder / "model.safetensors", "-o", folder / "model.h5"], check=True)
        error = same_result(model, args.program, folder)
        print(f"torch {torch.__version__}, transformers {transformers.__version__}, {args.threads} threads; "
              f"mean hidden states differ by {error:.1e} of the largest", flush=True)
        if not error < 1e-4:
            sys.exit("the two do not compute the same")
        ours = time_ours(args.program, folder, args.threads)
    print(f"{'work':<24}{'transformers s':>16}{'strandline s':>16}{'ratio':>8}", flush=True)
    theirs = {}
    for work, seconds in time_transformers(model, args.repeats):
        theirs[work] = seconds
        print(f"{work:<24}{seconds:>16.3f}{ours[work]:>16.3f}{seconds / ours[work]:>8.1f}", flush=True)
        if args.json:
            rows = {"threads": args.threads, "transformers": theirs, "strandline": ours}
            args.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
