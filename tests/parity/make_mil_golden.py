#!/usr/bin/env python3
"""Makes the golden files of the aggregators: their equations, stated once more in plain PyTorch.

    python3 tests/parity/make_mil_golden.py DEST

Needs PyTorch; the tests need it not, since the files are committed. Nothing here is shared with the C++ code, and nothing
is written for speed: one bag (N, in_features), in double precision, gradients by autograd. For each model: config.json
(the fields of MilConfig), random weights, and for each bag the features, logits, pooled vector, attention per patch,
losses, and the gradient of the loss by every weight, stored in single precision.
"""
import json
import math
import pathlib
import platform
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

LABEL = 1
SMALL = dict(in_features=10, classes=3, d_model=12, dropout=0.0, attention_width=7)
MAMBA = dict(SMALL, kind="mamba2mil", activation="gelu", layers=2, d_state=6, d_conv=4, expand=2, headdim=8, chunk=4)
TRANS = dict(SMALL, kind="transmil", activation="relu", heads=3, landmarks=4, pinv_iterations=6, residual_taps=5)
MODELS = {
    "mean": (dict(SMALL, kind="mean", activation="relu"), [1, 9]),
    "max": (dict(SMALL, kind="max", activation="gelu"), [1, 9]),
    "abmil": (dict(SMALL, kind="abmil", activation="relu"), [1, 9]),
    "abmil_gated": (dict(SMALL, kind="abmil", activation="gelu", gated=True), [1, 9]),
    "clam_sb": (dict(SMALL, kind="clam_sb", activation="relu", gated=True, instance_patches=3), [2, 5, 17]),
    "mamba2mil": (dict(MAMBA, flip="channel", padding="wrap"), [1, 2, 7, 12]),
    "mamba2mil_token": (dict(MAMBA, flip="token", padding="none"), [7]),
    "transmil": (TRANS, [1, 7, 16]),
}
ACTIVATIONS = {"relu": F.relu, "gelu": F.gelu}


# Statements of the models. `w` maps names to tensors; h has a row per patch.

def linear(h, w, name):
    return h @ w[name + ".weight"].T + w[name + ".bias"]


def mamba2(u, w, name, c):
    """One mixer, token by token (Dao and Gu 2024), as the release of Mamba2MIL configures it: one group, gate before norm."""
    inner, state, head = c["expand"] * c["d_model"], c["d_state"], c["headdim"]
    z, xbc, dt = torch.split(u @ w[name + ".in_proj.weight"].T, [inner, inner + 2 * state, inner // head], dim=1)
    padded = F.pad(xbc, (0, 0, c["d_conv"] - 1, 0))
    xbc = sum(padded[k:k + len(u)] * w[name + ".conv1d.weight"][:, k] for k in range(c["d_conv"]))
    x, b, g = torch.split(F.silu(xbc + w[name + ".conv1d.bias"]), [inner, state, state], dim=1)
    x = x.reshape(len(u), -1, head)
    dt = F.softplus(dt + w[name + ".dt_bias"])
    decay = torch.exp(-torch.exp(w[name + ".A_log"]) * dt)
    memory = torch.zeros(x.shape[1], head, state, dtype=u.dtype)
    rows = []
    for t in range(len(u)):
        memory = decay[t, :, None, None] * memory + dt[t, :, None, None] * x[t, :, :, None] * b[t]
        rows.append(memory @ g[t] + w[name + ".D"][:, None] * x[t])
    y = torch.stack(rows).reshape(len(u), inner) * F.silu(z)
    y = y / torch.sqrt((y * y).mean(1, keepdim=True) + 1e-5) * w[name + ".norm.weight"]
    return y @ w[name + ".out_proj.weight"].T


def wrap(h):
    side = math.isqrt(len(h) - 1) + 1
    return torch.cat([h, h[:side * side - len(h)]]), side


def mamba2mil_tokens(h, w, c):
    """Tokens of all branches, and for each the patch that it stands for."""
    patches = torch.arange(len(h))
    side = math.isqrt(len(h) - 1) + 1
    if c["padding"] == "wrap":
        padded, _ = wrap(h)
        patches, _ = wrap(patches)
        transposed = torch.arange(side * side).reshape(side, side).T.reshape(-1)
    else:
        padded = h
        transposed = torch.cat([torch.arange(column, len(h), side) for column in range(side)])
    channel = c["flip"] == "channel"
    branches = [(padded, patches), (padded.flip(-1) if channel else padded.flip(0), patches if channel else patches.flip(0)),
                (padded[transposed], patches[transposed])]
    rows = []
    for number, (branch, _) in enumerate(branches):
        for layer in range(c["layers"]):
            branch = mamba2(branch, w, f"branches.{number}.layers.{layer}.mixer", c) + branch
        rows.append(branch)
    tokens = F.layer_norm(torch.cat(rows), [c["d_model"]], w["norm.weight"], w["norm.bias"])
    return tokens, torch.cat([places for _, places in branches])


def pseudo_inverse(a, iterations):
    """Of all heads at once (Xiong et al. 2021, equation 11), with the starting value shared by the heads."""
    one = torch.eye(a.shape[-1], dtype=a.dtype)
    z = a.transpose(-1, -2) / (a.abs().sum(-1).max() * a.abs().sum(-2).max())
    for _ in range(iterations):
        az = a @ z
        z = 0.25 * z @ (13 * one - az @ (15 * one - az @ (7 * one - az)))
    return z


def nystrom(x, w, name, c):
    """@returns the result, and the attention that the first token pays to all, mean over the heads"""
    heads, landmarks, tokens = c["heads"], c["landmarks"], len(x)
    pad = -tokens % landmarks
    split = lambda part: part.reshape(tokens + pad, heads, -1).transpose(0, 1)
    q, k, v = map(split, (F.pad(x, (0, 0, pad, 0)) @ w[name + ".qkv.weight"].T).chunk(3, dim=1))
    q = q / math.sqrt(q.shape[-1])
    ql, kl = (part.reshape(heads, landmarks, -1, part.shape[-1]).mean(2) for part in (q, k))
    softmax = lambda a, b: torch.softmax(a @ b.transpose(-1, -2), dim=-1)
    first, middle, last = softmax(q, kl), softmax(ql, kl), softmax(ql, k)
    inverse = pseudo_inverse(middle, c["pinv_iterations"])
    taps = w[name + ".residual.weight"]
    side = taps.shape[1] // 2
    padded = F.pad(v, (0, 0, side, side))
    around = sum(padded[:, t:t + tokens + pad] * taps[:, t, None, None] for t in range(taps.shape[1]))
    out = first @ (inverse @ (last @ v)) + around
    paid = (first[:, pad:pad + 1] @ inverse @ last).mean(0)[0, pad:]
    return linear(out.transpose(0, 1).reshape(tokens + pad, -1)[pad:], w, name + ".out"), paid


def transmil(h, w, c):
    """@returns the pooled vector and the attention per patch"""
    patches, side = wrap(torch.arange(len(h)))
    x = torch.cat([w["cls_token"], h[patches]])
    paid = None
    for layer in range(2):
        normed = F.layer_norm(x, [c["d_model"]], w[f"layers.{layer}.norm.weight"], w[f"layers.{layer}.norm.bias"])
        added, paid = nystrom(normed, w, f"layers.{layer}", c)
        x = x + added
        if layer == 0:
            grid = x[1:].T.reshape(1, c["d_model"], side, side)
            places = grid + sum(F.conv2d(grid, w[f"ppeg.{k}.weight"][:, None], w[f"ppeg.{k}.bias"], padding=k // 2,
                                         groups=c["d_model"]) for k in (7, 5, 3))
            x = torch.cat([x[:1], places[0].reshape(c["d_model"], -1).T])
    pooled = F.layer_norm(x, [c["d_model"]], w["norm.weight"], w["norm.bias"])[0]
    return pooled, torch.zeros(len(h), dtype=h.dtype).index_add(0, patches, paid[1:])


def scores_of(tokens, w, c):
    hidden = torch.tanh(linear(tokens, w, "attention.hidden"))
    if c.get("gated"):
        hidden = hidden * torch.sigmoid(linear(tokens, w, "attention.gate"))
    return linear(hidden, w, "attention.score")[:, 0]


def instance_loss(h, scores, w, c):
    k = min(c["instance_patches"], len(h))
    chosen = torch.cat([torch.topk(scores, k).indices, torch.topk(-scores, k).indices])
    target = torch.tensor([1] * k + [0] * k)
    z = linear(h[chosen], w, f"instance.{LABEL}")
    margin = 1 - F.one_hot(target, 2)
    return (torch.logsumexp(z + margin, 1) - z.gather(1, target[:, None])[:, 0]).mean()


def run(features, w, c):
    h = ACTIVATIONS[c["activation"]](linear(features, w, "stem"))
    count, instance = len(h), torch.zeros((), dtype=h.dtype)
    if c["kind"] == "mean":
        pooled, attention = h.mean(0), torch.full([count], 1 / count)
    elif c["kind"] == "max":
        pooled = h.max(0).values
        attention = torch.bincount(h.argmax(0), minlength=count) / h.shape[1]
    elif c["kind"] == "transmil":
        pooled, attention = transmil(h, w, c)
    else:
        tokens, patches = (h, torch.arange(count)) if c["kind"] != "mamba2mil" else mamba2mil_tokens(h, w, c)
        scores = scores_of(tokens, w, c)
        weight = torch.softmax(scores, 0)
        pooled = weight @ tokens
        attention = torch.zeros(count, dtype=h.dtype).index_add(0, patches, weight)
        if c["kind"] == "clam_sb":
            instance = instance_loss(h, scores, w, c)
    logits = linear(pooled[None], w, "head")
    bag = F.cross_entropy(logits, torch.tensor([LABEL]))
    loss = 0.7 * bag + 0.3 * instance if c["kind"] == "clam_sb" else bag
    return dict(logits=logits[0], pooled=pooled, attention=attention, losses=torch.stack([loss, bag, instance])), loss


# Random weights, by name and shape.

def shapes_of(c):
    d, width, shapes = c["d_model"], c["attention_width"], {}

    def both(name, *shape):
        shapes[name + ".weight"], shapes[name + ".bias"] = list(shape), [shape[0]]

    both("stem", d, c["in_features"])
    if c["kind"] == "mamba2mil":
        inner, state = c["expand"] * d, c["d_state"]
        for place in [f"branches.{b}.layers.{l}.mixer" for b in range(3) for l in range(c["layers"])]:
            shapes[place + ".in_proj.weight"] = [2 * inner + 2 * state + inner // c["headdim"], d]
            both(place + ".conv1d", inner + 2 * state, c["d_conv"])
            for name in ("dt_bias", "A_log", "D"):
                shapes[f"{place}.{name}"] = [inner // c["headdim"]]
            shapes[place + ".norm.weight"] = [inner]
            shapes[place + ".out_proj.weight"] = [d, inner]
    if c["kind"] == "transmil":
        shapes["cls_token"] = [1, d]
        for layer in range(2):
            both(f"layers.{layer}.norm", d)
            shapes[f"layers.{layer}.qkv.weight"] = [3 * d, d]
            shapes[f"layers.{layer}.residual.weight"] = [c["heads"], c["residual_taps"]]
            both(f"layers.{layer}.out", d, d)
        for k in (7, 5, 3):
            both(f"ppeg.{k}", d, k, k)
    if c["kind"] in ("mamba2mil", "transmil"):
        both("norm", d)
    if c["kind"] in ("abmil", "clam_sb", "mamba2mil"):
        both("attention.hidden", width, d)
        if c.get("gated"):
            both("attention.gate", width, d)
        both("attention.score", 1, width)
    if c["kind"] == "clam_sb":
        for label in range(c["classes"]):
            both(f"instance.{label}", 2, d)
    both("head", c["classes"], d)
    return shapes


def draw(name, shape):
    """Nothing at ones or zeros, at which a swapped tensor would not show."""
    if name.endswith("A_log"):
        return torch.log(torch.empty(shape).uniform_(1, 16))
    if name.endswith("dt_bias"):
        step = torch.exp(torch.empty(shape).uniform_(math.log(1e-2), math.log(5e-1)))
        return step + torch.log(-torch.expm1(-step))
    if name.endswith(".D") or (len(shape) == 1 and name.endswith("weight")):
        return torch.empty(shape).uniform_(0.5, 1.5)
    if len(shape) == 1:
        return torch.randn(shape) * 0.2
    return torch.randn(shape) * 1.5 / math.sqrt(math.prod(shape[1:]))


def main():
    dest = pathlib.Path(sys.argv[1])
    for number, (name, (config, bags)) in enumerate(MODELS.items()):
        torch.manual_seed(200 + number)
        folder = dest / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
        single = {tensor: draw(tensor, shape) for tensor, shape in shapes_of(config).items()}
        save_file(single, folder / "model.safetensors")
        for patches in bags:
            weights = {tensor: value.double().requires_grad_() for tensor, value in single.items()}
            features = torch.randn(patches, config["in_features"])
            out, loss = run(features.double(), weights, config)
            loss.backward()
            for tensor, value in weights.items():
                out["grad." + tensor] = torch.zeros_like(value) if value.grad is None else value.grad
            out = {tensor: value.detach().float().contiguous() for tensor, value in out.items()}
            save_file({"features": features, **out}, folder / f"bag{patches}.safetensors")
    versions = {"torch": torch.__version__, "python": platform.python_version(), "machine": platform.machine()}
    (dest / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
