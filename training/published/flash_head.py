"""Two chunks of FlashHead's own pipeline (Soul-AILab/SoulX-FlashHead, flash_head/src/pipeline/flash_head_pipeline.py) at small sizes, with latents instead of pixels."""
import importlib
import sys
import types

import torch

from . import absent
from .seeded import fill, tensor

REPOSITORY, COMMIT = "https://github.com/Soul-AILab/SoulX-FlashHead", "12467cef31a9554cd9682a0521e6e87deaef9810"
SIZES = {"dim": 64, "ffn_dim": 128, "num_heads": 2, "num_layers": 3, "freq_dim": 16, "in_dim": 32, "out_dim": 16}
GRID, CHUNKS, LATENTS, FEATURES, STATES, STEPS = (4, 4), 2, 5, 6, 12, 4
SEED = {"weights": 71, "noise": 72, "inputs": 73}


def modules(source):
    """The published modules; everything that only loads files, compiles or measures is absent."""
    absent.install()
    sys.path.insert(0, str(source))
    sys.modules["diffusers"].ModelMixin = absent.Plain
    absent.nothing("xfuser", "xfuser.core", "xfuser.core.distributed", "xfuser.core.long_ctx_attention")
    absent.nothing("loguru", "transformers", "flash_head.audio_analysis.wav2vec2", "flash_head.utils.utils", "flash_head.utils.facecrop")
    network = importlib.import_module("flash_head.src.modules.flash_head_model")
    return network, importlib.import_module("flash_head.src.pipeline.flash_head_pipeline")


def run(source):
    network, published = modules(source)
    model = network.WanModelAudioProject(
        **SIZES, text_dim=20, eps=1e-6, vae_stride=(4, 8, 8), patch_size=(1, 2, 2), has_image_input=False
    )
    # The class fixes the width of the sound's tokens to that of the real model.
    frames = 4 * (LATENTS - 1) + 1
    model.audio_proj = network.AudioProjModel(
        seq_len=5, seq_len_vf=8, blocks=STATES, channels=FEATURES, intermediate_dim=24, output_dim=SIZES["dim"],
        context_tokens=8, norm_output_audio=True,
    )
    used = torch.nn.ModuleDict({name: part for name, part in model.named_children() if name not in ("text_embedding", "audio_emb")})
    fill(used, SEED["weights"])
    model.eval()
    pipeline = published.FlashHeadPipeline.__new__(published.FlashHeadPipeline)
    reference = tensor(SEED["inputs"], 0, 0, LATENTS, 16, *GRID).transpose(0, 1)
    # The last two latents stand for the encoded last frames of the decoded chunk.
    vae = types.SimpleNamespace(decode=lambda latents: latents[None], encode=lambda latents: latents[0])
    settings = types.SimpleNamespace(out_dim=16, vae_stride=(4, 8, 8))
    pipeline.__dict__.update(
        model=model, config=settings, vae=vae, device="cpu", param_dtype=torch.float32, model_type="pro", rank=1, generator=None,
        num_timesteps=1000, frame_num=frames, lat_h=GRID[0], lat_w=GRID[1], motion_frames_num=2, color_correction_strength=0.0,
        ref_img_latent=reference, latent_motion_frames=reference[:, :1].clone(),
    )
    levels = [published.timestep_transform(torch.tensor([t])) for t in (1000.0, 750.0, 500.0, 250.0, 0.0)]
    pipeline.timesteps = levels
    results = {"levels": torch.cat(levels[:-1]).numpy() / 1000}
    made = []
    published.torch.cuda.synchronize = lambda: None
    with seeded_noise(), torch.no_grad():
        for chunk in range(CHUNKS):
            hidden = tensor(SEED["inputs"], 1 + chunk, 0, frames + 4, STATES, FEATURES)
            windows = torch.stack([hidden[frame : frame + 5] for frame in range(frames)])[None]
            made.append(pipeline.generate(windows).transpose(0, 1))
    return {**results, "latents": torch.cat(made).numpy()}


class seeded_noise:
    """While active, torch.randn gives the seeded noise of each chunk and step in the order of the pipeline's calls, one latent frame after the other."""

    def __enter__(self):
        self.original, order = torch.randn, iter((chunk, step) for chunk in range(CHUNKS) for step in range(STEPS + 1))

        def randn(*size, **_):
            channels, frames, *grid = size[0] if len(size) == 1 else size
            return tensor(SEED["noise"], *next(order), frames, channels, *grid).transpose(0, 1)

        torch.randn = randn

    def __exit__(self, *_):
        torch.randn = self.original
