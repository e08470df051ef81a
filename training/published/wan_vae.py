"""The video autoencoder of Wan 2.1 (Wan-Video/Wan2.1, wan/modules/vae.py) at small sizes: one picture encoded, five chunks decoded as one stream."""
import importlib
import sys

import torch

from . import absent
from .seeded import fill, tensor

REPOSITORY, COMMIT = "https://github.com/Wan-Video/Wan2.1", "9737cba9c1c3c4d04b33fcad41c111989865d315"
DIM, LATENTS, GRID, CHANNELS = 8, 15, (2, 4), 16
SEED = {"weights": 21, "inputs": 22}


def run(source):
    absent.install()
    sys.path.insert(0, str(source))
    absent.stand_in("wan").__path__ = [str(source / "wan")]
    absent.stand_in("wan.modules").__path__ = [str(source / "wan" / "modules")]
    published = importlib.import_module("wan.modules.vae")
    network = published.WanVAE_(dim=DIM, z_dim=CHANNELS, temperal_downsample=[False, True, True])
    published._video_vae = lambda **_: fill(network, SEED["weights"])
    vae = published.WanVAE(z_dim=CHANNELS, device="cpu")
    picture = tensor(SEED["inputs"], 0, 0, 3, 1, 8 * GRID[0], 8 * GRID[1]).clamp(-1, 1)
    latents = tensor(SEED["inputs"], 1, 0, LATENTS, CHANNELS, *GRID)
    with torch.no_grad():
        [encoded] = vae.encode([picture])
        [frames] = vae.decode([latents.transpose(0, 1)])
    return {"encoded": encoded[:, 0].numpy(), "frames": frames.transpose(0, 1)[..., ::2, ::2].numpy()}
