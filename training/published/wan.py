"""One pass of Wan 2.1's transformers (Wan-Video/Wan2.1, wan/modules/model.py) at small sizes: text to video, and image to video."""
import importlib
import sys

import torch

from . import absent
from .seeded import fill, tensor
from .wan_vae import COMMIT, REPOSITORY  # noqa: F401

SIZES = {"dim": 64, "ffn_dim": 128, "num_heads": 2, "num_layers": 3, "text_dim": 20, "freq_dim": 16}
GRID, FRAMES, LEVEL, IMAGE_TOKENS = (4, 6), 3, 0.6, 5
TEXT = {"t2v": 7, "i2v": 512}
SEED = {"weights": 61, "inputs": 62}


def run(source):
    absent.install()
    sys.path.insert(0, str(source))
    for package in ("wan", "wan.modules"):
        absent.stand_in(package).__path__ = [str(source / package.replace(".", "/"))]
    absent.stand_in("wan.modules.attention", flash_attention=absent.flash_attention)
    published = importlib.import_module("wan.modules.model")
    results = {}
    for kind, given in (("t2v", 0), ("i2v", 20)):
        model = fill(published.WanModel(kind, text_len=TEXT[kind], in_dim=16 + given, out_dim=16, **SIZES), SEED["weights"])
        x = tensor(SEED["inputs"], 0, 0, FRAMES, 16, *GRID).transpose(0, 1)
        y = [tensor(SEED["inputs"], 1, 0, FRAMES, given, *GRID).transpose(0, 1)] if given else None
        text = tensor(SEED["inputs"], 2, 0, 7, SIZES["text_dim"])
        picture = tensor(SEED["inputs"], 3, 0, 1, IMAGE_TOKENS, 1280) if given else None
        tokens = FRAMES * GRID[0] * GRID[1] // 4
        with torch.no_grad():
            [velocity] = model([x], torch.tensor([1000 * LEVEL]), [text], tokens, picture, y)
        results[kind] = velocity.transpose(0, 1).numpy()
    return results
