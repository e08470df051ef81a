"""Writes the small networks and PyTorch's results that the graph compiler's tests are compared with.

python -m talkmesh_nano.export.compile_fixtures --out ../libs/inference/src/testing/fixtures
Weights are random and rounded to half precision; inputs and results are named io.<case>.<name>.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import torch

from ..score.describe import describe, weights
from ..score.model import CHANNELS, Score, ScoreConfig
from ..sizes import TOKEN_DIM, TOKENS_PER_LATENT
from .safetensors import write_safetensors
from .wan_reference import WanReference, random_weights, shapes

WAN = {"dim": 48, "mlp": 80, "layers": 2, "channels": 4, "text_dim": 20}
WAN_HEADS, WAN_FRAMES, WAN_GRID, TEXT_TOKENS = 6, 3, (4, 4), 7
IMAGE_DIM, IMAGE_TOKENS = 16, 5


def nano_fixture():
    """(weights and pairs, description) of a score network of shipped make, every zero-initialised layer woken up."""
    torch.manual_seed(5)
    model = Score(ScoreConfig(dim=24, layers=2, heads=4, mlp=48, time_hidden=16)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_((parameter + torch.randn_like(parameter) * 0.08).half().float())
    arrays = {name: array.astype(np.float16) for name, array in weights(model).items() if name != "time.frequencies"}
    arrays["time.frequencies"] = model.time.frequencies.numpy()
    config = model.config
    for case, (level, chunks) in {"first": (1.0, 0), "later": (0.6, 2)}.items():
        x, condition = torch.randn(config.frames, CHANNELS, 2, 2), torch.randn(config.frames, TOKENS_PER_LATENT, TOKEN_DIM)
        k, v = torch.randn(2, config.layers, chunks * config.tokens, config.dim)
        with torch.no_grad():
            modulation = model.time(torch.tensor([level]))[0]
            velocity, *kept = model.step(x, modulation, condition, k, v)
        add(arrays, case, t=torch.tensor([level]), x=x, condition=condition, modulation=modulation, k_context=k, v_context=v)
        add(arrays, case, velocity=velocity, k_chunk=kept[0], v_chunk=kept[1])
    return arrays, describe(model)


def wan_fixture(image):
    """The same for the Wan shape; `image` adds the image-to-video models' second cross-attention."""
    found = shapes(**WAN, image_dim=IMAGE_DIM if image else 0)
    wan = random_weights(found, seed=7)
    model = WanReference(wan, WAN_HEADS)
    arrays = {name: value.numpy().astype(np.float16) for name, value in wan.items()}
    tokens = WAN_FRAMES * (WAN_GRID[0] // 2) * (WAN_GRID[1] // 2)
    for case, (level, chunks) in {"first": (0.9, 0), "later": (0.5, 2)}.items():
        x, condition = torch.randn(WAN_FRAMES, WAN["channels"], *WAN_GRID), torch.randn(TEXT_TOKENS, WAN["text_dim"])
        k, v = torch.randn(2, WAN["layers"], chunks * tokens, WAN["dim"])
        picture = torch.randn(IMAGE_TOKENS, IMAGE_DIM) if image else None
        given = [value if value is None else value.double() for value in (x, condition, k, v, picture)]
        velocity, *kept = model.step(given[0], level, *given[1:])
        e, e6 = model.time(level)
        add(arrays, case, t=torch.tensor([level]), x=x, condition=condition, k_context=k, v_context=v)
        add(arrays, case, modulation=torch.cat([e, e6.flatten()]), velocity=velocity, k_chunk=kept[0], v_chunk=kept[1])
        if image:
            add(arrays, case, image=picture)
    return arrays


def add(arrays, case, **values):
    arrays.update({f"io.{case}.{name}": value.numpy().astype(np.float32) for name, value in values.items()})


def fixtures():
    """File name -> arrays, and the description of the first."""
    nano, description = nano_fixture()
    return {"nano": nano, "wan-t2v": wan_fixture(False), "wan-i2v": wan_fixture(True)}, description


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    out = Path(parser.parse_args().out)
    out.mkdir(parents=True, exist_ok=True)
    files, description = fixtures()
    for name, arrays in files.items():
        write_safetensors(out / f"{name}.safetensors", arrays)
        print(f"{name}: {(out / f'{name}.safetensors').stat().st_size} bytes")
    (out / "nano.json").write_text(json.dumps(description, indent=2) + "\n")


if __name__ == "__main__":
    main()
