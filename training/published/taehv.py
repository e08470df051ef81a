"""The decoder of TAEHV (madebyollin/taehv) at small widths: five chunks as one stream."""
import types

import torch

from . import absent
from .seeded import fill, tensor

REPOSITORY, COMMIT = "https://github.com/madebyollin/taehv", "1f14a568f24bf8811e0a0ac601613e04fc1581e8"
LATENTS, GRID, CHANNELS = 15, (2, 4), 16
SEED = {"weights": 31, "inputs": 32}
WIDTHS = ("n_f = [256, 128, 64, 64]", "n_f = [24, 16, 8, 8]")


def run(source):
    absent.install()
    absent.stand_in("tqdm")
    absent.stand_in("tqdm.auto", tqdm=lambda items, **_: items)
    text = (source / "taehv.py").read_text()
    if text.count(WIDTHS[0]) != 1:
        raise RuntimeError("the published code no longer says its widths in one place; use the commit that is named here")
    published = types.ModuleType("taehv")
    exec(compile(text.replace(*WIDTHS), "taehv.py", "exec"), published.__dict__)
    model = published.TAEHV(checkpoint_path=None)
    model.encoder = torch.nn.Sequential()
    fill(model, SEED["weights"])
    latents = tensor(SEED["inputs"], 0, 0, 1, LATENTS, CHANNELS, *GRID)
    with torch.no_grad():
        frames = model.decode_video(latents, parallel=True, show_progress_bar=False)[0]
    return {"frames": frames[..., ::2, ::2].numpy()}
