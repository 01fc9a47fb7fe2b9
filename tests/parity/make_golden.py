#!/usr/bin/env python3
"""Makes the golden files of the parity test with an implementation that is not ours: transformers' Mamba2Model.

    python3 tests/parity/make_golden.py DEST

Needs PyTorch and transformers; the tests need neither, since the files are committed. For each model: random weights
as safetensors with a config.json (Hugging Face layout), and for each length the ids, the residual stream after every
layer, the final hidden states, and the gradients of a scalar loss by every weight. All in fp32 on the CPU, by
transformers' own path without custom kernels. versions.json records what computed them.
"""
import json
import math
import pathlib
import platform
import sys

import torch
import transformers
from safetensors.torch import save_file
from transformers import Mamba2Config, Mamba2Model

LENGTHS = [1, 255, 256, 257, 1000]
MODELS = {
    "groups1": dict(hidden_size=32, num_hidden_layers=3, state_size=16, head_dim=16, n_groups=1, chunk_size=256),
    "groups2": dict(hidden_size=48, num_hidden_layers=2, state_size=32, head_dim=24, n_groups=2, chunk_size=64),
    "limited": dict(hidden_size=64, num_hidden_layers=2, state_size=128, head_dim=64, n_groups=1, chunk_size=256,
                    time_step_limit=(0.002, 0.05)),
}
CONFIG_KEYS = ["architectures", "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "state_size", "num_heads",
               "head_dim", "n_groups", "expand", "conv_kernel", "chunk_size", "use_bias", "use_conv_bias",
               "layer_norm_epsilon", "rms_norm", "residual_in_fp32", "tie_word_embeddings", "hidden_act", "time_step_limit"]


def randomise(name, parameter):
    """The library starts A, D and the norms at constants, which would hide a swapped head or channel."""
    if name.endswith("A_log"):
        parameter.copy_(torch.log(torch.empty_like(parameter).uniform_(1, 16)))
    elif name.endswith("dt_bias"):
        step = torch.exp(torch.empty_like(parameter).uniform_(math.log(1e-3), math.log(1e-1)))
        parameter.copy_(step + torch.log(-torch.expm1(-step)))
    elif name.endswith(".D") or "norm" in name:
        parameter.uniform_(0.5, 1.5)
    elif "embeddings" in name:
        parameter.normal_(0, 1)
    elif parameter.dim() == 1:
        parameter.normal_(0, 0.1)
    else:
        parameter.normal_(0, 1.0 / math.sqrt(parameter[0].numel()))


def make_model(shape, seed):
    torch.manual_seed(seed)
    config = Mamba2Config(vocab_size=16, expand=2, conv_kernel=4, num_heads=2 * shape["hidden_size"] // shape["head_dim"],
                          use_bias=False, use_conv_bias=True, rms_norm=True, residual_in_fp32=True, tie_word_embeddings=True,
                          pad_token_id=0, bos_token_id=0, eos_token_id=0, architectures=["Mamba2ForCausalLM"], **shape)
    model = Mamba2Model(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            randomise(name, parameter)
    return config, model


def run(model, length):
    generator = torch.Generator().manual_seed(length)
    ids = torch.randint(0, model.config.vocab_size, (1, length), generator=generator)
    layers = []
    keep = lambda _module, _inputs, out: layers.append(out[0] if isinstance(out, tuple) else out)
    hooks = [block.register_forward_hook(keep) for block in model.layers]
    model.zero_grad()
    final = model(input_ids=ids, use_cache=False).last_hidden_state
    for hook in hooks:
        hook.remove()
    probe = torch.cos(0.37 * torch.arange(final.numel(), dtype=torch.float64)).float().view_as(final)
    (final * probe).sum().backward()
    tensors = {"ids": ids[0].to(torch.int32), "final": final[0].detach()}
    for number, hidden in enumerate(layers):
        tensors[f"layer.{number}"] = hidden[0].detach().float()
    for name, parameter in model.named_parameters():
        tensors[f"grad.backbone.{name}"] = parameter.grad.detach().clone()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def config_json(config):
    values = json.loads(json.dumps(config.to_dict(), default=str))
    values["time_step_limit"] = [x if math.isfinite(x) else "Infinity" for x in map(float, config.time_step_limit)]
    return json.dumps({key: values[key] for key in CONFIG_KEYS if key in values}, indent=1) + "\n"


def main():
    dest = pathlib.Path(sys.argv[1])
    for number, (name, shape) in enumerate(MODELS.items()):
        folder = dest / name
        folder.mkdir(parents=True, exist_ok=True)
        config, model = make_model(shape, seed=100 + number)
        (folder / "config.json").write_text(config_json(config))
        save_file({f"backbone.{key}": value.detach().contiguous() for key, value in model.state_dict().items()},
                  folder / "model.safetensors", metadata={"format": "pt"})
        for length in LENGTHS:
            save_file(run(model, length), folder / f"length{length}.safetensors")
    versions = {"torch": torch.__version__, "transformers": transformers.__version__,
                "python": platform.python_version(), "machine": platform.machine()}
    (dest / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
