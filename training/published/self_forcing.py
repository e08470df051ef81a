"""Five chunks of Self-Forcing's own pipeline (guandeh17/Self-Forcing) at small sizes, with a window of nine latents, which wraps around twice."""
import importlib
import sys
import types

import torch

from . import absent
from .livetalk import fresh_noise
from .seeded import fill, tensor

REPOSITORY, COMMIT = "https://github.com/guandeh17/Self-Forcing", "33593df3e81fa3ec10239271dd2c100facac6de1"
SIZES = {"dim": 64, "ffn_dim": 128, "num_heads": 2, "num_layers": 3, "text_dim": 20, "freq_dim": 16, "text_len": 7}
GRID, CHUNKS, FRAMES, WINDOW = (4, 4), 5, 3, 9
SEED = {"weights": 51, "noise": 12, "inputs": 53}


def run(source):
    absent.install()
    sys.path.insert(0, str(source))
    for package in ("wan", "wan.modules", "pipeline", "utils"):
        absent.stand_in(package).__path__ = [str(source / package.replace(".", "/"))]
    absent.stand_in("wan.modules.attention", attention=absent.flash_attention, flash_attention=absent.flash_attention)
    absent.nothing("wan.modules.tokenizers", "wan.modules.t5", "wan.modules.vae", "demo_utils", "demo_utils.memory")
    network = importlib.import_module("wan.modules.causal_model")
    wrapper = importlib.import_module("utils.wan_wrapper")
    pipeline = importlib.import_module("pipeline.causal_inference")
    generator = wrapper.WanDiffusionWrapper.__new__(wrapper.WanDiffusionWrapper)
    torch.nn.Module.__init__(generator)
    generator.model = fill(network.CausalWanModel(**SIZES, in_dim=16, out_dim=16, local_attn_size=WINDOW), SEED["weights"])
    generator.uniform_timestep, generator.seq_len = False, 32760
    generator.scheduler = wrapper.FlowMatchScheduler(shift=5.0, sigma_min=0.0, extra_one_step=True)
    generator.scheduler.set_timesteps(1000, training=True)
    text = tensor(SEED["inputs"], 0, 0, 1, SIZES["text_len"], SIZES["text_dim"])
    settings = types.SimpleNamespace(
        denoising_step_list=[1000, 750, 500, 250], warp_denoising_step=True, num_frame_per_block=FRAMES,
        independent_first_frame=False, context_noise=0,
    )
    encoder = lambda text_prompts: {"prompt_embeds": text}
    codec = types.SimpleNamespace(decode_to_pixel=lambda latents, use_cache: latents)
    made = pipeline.CausalInferencePipeline(settings, "cpu", generator, encoder, codec)
    made.num_transformer_blocks, made.frame_seq_length = SIZES["num_layers"], GRID[0] * GRID[1] // 4
    # The pipeline makes caches of the released sizes only, and resets those that are there.
    shape, ends = (1, WINDOW * made.frame_seq_length, SIZES["num_heads"], SIZES["dim"] // SIZES["num_heads"]), ("global_end_index", "local_end_index")
    made.kv_cache1 = [{**{n: torch.zeros(shape) for n in "kv"}, **{n: torch.tensor([0]) for n in ends}} for _ in generator.model.blocks]
    made.crossattn_cache = [{"is_init": False} for _ in generator.model.blocks]
    first = torch.cat([tensor(SEED["noise"], c, 0, FRAMES, 16, *GRID) for c in range(CHUNKS)])[None]
    with fresh_noise(CHUNKS, 4), torch.no_grad():
        _, latents = made.inference(first, ["prompt"], return_latents=True)
    return {"latents": latents[0].numpy()}
