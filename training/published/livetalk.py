"""Six chunks of LiveTalk's own pipeline (GAIR-NLP/LiveTalk, scripts/inference_example.py) at small sizes."""
import importlib
import sys
import tempfile
import types
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch

from . import absent
from .seeded import fill, tensor

REPOSITORY, COMMIT = "https://github.com/GAIR-NLP/LiveTalk", "53b2c22a0581b27b2efdb1ec4b2e39c95189409a"
SIZES = {"dim": 64, "ffn_dim": 128, "num_heads": 2, "num_layers": 6, "text_dim": 20, "freq_dim": 16, "in_dim": 33, "out_dim": 16}
GRID, CHUNKS, FRAMES, TOKENS, FEATURES = (4, 4), 6, 3, 7, 12
SEED = {"weights": 11, "noise": 12, "inputs": 13}


def modules(source):
    """The published modules; everything that only loads files, pictures or sound is absent."""
    absent.install()
    sys.path.insert(0, str(source))
    settings = types.SimpleNamespace()
    absent.stand_in("OmniAvatar")
    absent.stand_in("OmniAvatar.utils")
    absent.stand_in("OmniAvatar.utils.args_config", parse_args=lambda: settings)
    absent.stand_in("OmniAvatar.schedulers")
    schedule = importlib.import_module("utils.Omniavatarpatch.flow_match")
    sys.modules["OmniAvatar.schedulers.flow_match"] = schedule
    absent.stand_in("utils.io_utils", hash_state_dict_keys=lambda _: "")
    absent.nothing("librosa", "torchvision", "torchvision.transforms", "xfuser", "xfuser.core", "xfuser.core.distributed")
    absent.nothing("transformers", "utils.wan_wrapper", "scripts.inference", "tqdm")
    package = absent.stand_in("model")
    package.__path__ = [str(source / "model")]
    network = importlib.import_module("model.causal_wan_video_dit_omniavatar")
    return network, schedule, importlib.import_module("scripts.inference_example")


def run(source):
    network, schedule, example = modules(source)
    model = network.CausalWanModel(
        **SIZES, eps=1e-6, patch_size=(1, 2, 2), has_image_input=False, use_audio=True, local_attn_size=15, sink_size=9
    )
    model.audio_proj = network.AudioPack(FEATURES * 14, [4, 1, 1], 32, layernorm=True)
    fill(model, SEED["weights"])
    pipeline = example.CausalInferencePipeline.__new__(example.CausalInferencePipeline)
    torch.nn.Module.__init__(pipeline)
    pipeline.scheduler = schedule.FlowMatchScheduler(shift=5, sigma_min=0.0, extra_one_step=True, num_inference_steps=4)
    tokens, frames = GRID[0] * GRID[1] // 4, CHUNKS * FRAMES
    text = tensor(SEED["inputs"], 0, 0, 1, TOKENS, SIZES["text_dim"])
    reference = tensor(SEED["inputs"], 1, 0, 1, 1, 16, *GRID)
    # The encoder's hidden states, the last first, side by side as the pipeline does it.
    states = [tensor(SEED["inputs"], 2 + i, 0, 1, 4 * frames - 3, FEATURES) for i in range(14)]
    hidden = types.SimpleNamespace(last_hidden_state=states[0], hidden_states=states[1:])
    pipeline.__dict__.update(
        args=types.SimpleNamespace(fps=16, sample_rate=16000, max_hw=720, image_sizes_720=[[512, 512]]),
        device="cpu", dtype=torch.float32, num_frame_per_block=FRAMES, frame_seq_length=tokens, local_attn_size=15,
        num_transformer_blocks=SIZES["num_layers"], denoising_step_list=pipeline.scheduler.timesteps,
    )
    pipeline._modules["generator"] = model
    pipeline.text_encoder = lambda prompts: {"prompt_embeds": text}
    pipeline.vae = types.SimpleNamespace(encode_to_latent=lambda image: reference, decode_to_pixel=lambda x: x)
    pipeline.transform = lambda image: torch.zeros(3, 8, 8)
    pipeline.wav_feature_extractor = lambda audio, sampling_rate: types.SimpleNamespace(input_values=np.zeros((1, 16)))
    pipeline.audio_encoder = lambda *_, **__: hidden
    example.librosa.load = lambda *_, **__: (np.zeros(16), 16000)
    example.match_size = lambda *_: None
    example.resize_pad = lambda image, *_: image
    kv = lambda: {name: torch.zeros(1, 15 * tokens, SIZES["dim"]) for name in "kv"}
    ends = lambda: {name: torch.tensor([0]) for name in ("global_end_index", "local_end_index")}
    pipeline.kv_cache1 = [{**kv(), **ends()} for _ in range(SIZES["num_layers"])]
    pipeline.crossattn_cache = [{"is_init": False} for _ in range(SIZES["num_layers"])]
    first = torch.cat([tensor(SEED["noise"], c, 0, FRAMES, 16, *GRID) for c in range(CHUNKS)])[None]
    with tempfile.TemporaryDirectory() as folder, fresh_noise(CHUNKS, len(pipeline.scheduler.timesteps)):
        from PIL import Image
        picture = Path(folder) / "picture.png"
        Image.new("RGB", (8, 8)).save(picture)
        with torch.no_grad():
            _, latents = pipeline.forward(first, "prompt", str(picture), "speech.wav", return_latents=True)
    shifted = pipeline.scheduler.sigmas.numpy()
    return {"latents": latents[0].numpy(), "levels": shifted}


class fresh_noise:
    """While active, torch.randn_like gives the seeded noise of each chunk and step in the order of a pipeline's calls."""

    def __init__(self, chunks, steps):
        self.places = [(chunk, step) for chunk in range(chunks) for step in range(1, steps)]

    def __enter__(self):
        self.original, order = torch.randn_like, iter(self.places)
        torch.randn_like = lambda like: tensor(SEED["noise"], *next(order), *like.shape)

    def __exit__(self, *_):
        torch.randn_like = self.original
