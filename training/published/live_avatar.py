"""Two streamed chunks of LiveAvatar's transformer (Alibaba-Quark/LiveAvatar, liveavatar/models/wan/causal_model_s2v.py), which is Wan2.2-S2V's, at small sizes and in float32."""
import importlib
import random
import sys

import torch

from . import absent
from .seeded import fill, tensor

REPOSITORY, COMMIT = "https://github.com/Alibaba-Quark/LiveAvatar", "9c2c38de1715e553127b42c82cb959f756b02595"
SIZES = {"dim": 32, "ffn_dim": 64, "num_heads": 2, "num_layers": 3, "text_dim": 20, "freq_dim": 16, "in_dim": 16, "out_dim": 16, "text_len": 7}
GRID, CHUNKS, FRAMES, STATES, FEATURES, LEVEL, HEARING = (8, 8), 2, 3, 25, 6, 0.6, [0, 2]
MOTION = [73, 19]
SEED = {"weights": 81, "inputs": 82}


class AdaLayerNorm(torch.nn.Module):
    """That of diffusers with chunk_dim=1 (diffusers/models/normalization.py)."""

    def __init__(self, output_dim, embedding_dim, chunk_dim):
        super().__init__()
        self.linear = torch.nn.Linear(embedding_dim, output_dim)
        self.norm = torch.nn.LayerNorm(output_dim // 2, 1e-5, False)

    def forward(self, x, temb):
        shift, scale = self.linear(torch.nn.functional.silu(temb)).chunk(2, dim=1)
        return self.norm(x) * (1 + scale[:, None, :]) + shift[:, None, :]


def modules(source):
    """The published module. What only runs on several devices, compiles or loads is absent, and 16-bit types are float32."""
    absent.install()
    torch.bfloat16 = torch.float16 = torch.float32
    torch.cuda.is_bf16_supported = lambda: True
    sys.path.insert(0, str(source))
    root = "liveavatar.models.wan"
    for package in ("liveavatar", "liveavatar.models", root, f"{root}.wan_2_2", f"{root}.wan_2_2.modules", f"{root}.wan_2_2.modules.s2v"):
        absent.stand_in(package).__path__ = [str(source / package.replace(".", "/"))]
    absent.nothing(f"{root}.wan_2_2.distributed", f"{root}.wan_2_2.distributed.util", f"{root}.wan_2_2.distributed.sequence_parallel")
    absent.stand_in(f"{root}.inference_utils", conditional_compile=lambda function: function)
    attention = {name: absent.flash_attention for name in ("attention", "flash_attention")}
    absent.stand_in(f"{root}.wan_2_2.modules.attention", **attention)
    absent.stand_in("diffusers.models.attention", AdaLayerNorm=AdaLayerNorm)
    sys.modules["diffusers.models"].ModelMixin = absent.Plain
    absent.nothing("diffusers.utils", "diffusers.loaders", f"{root}.wan_2_2.modules.s2v.motioner")
    return importlib.import_module(f"{root}.causal_model_s2v")


class on_processor:
    """While active, moves to a GPU stay here, conversions copy as those to 16 bits do, and the width that is written into the code is the small one."""

    def __enter__(self):
        self.to, self.zeros = torch.Tensor.to, torch.zeros
        torch.Tensor.to = lambda x, *places, **named: x if places == ("cuda",) else self.to(x, *places, **{**named, "copy": True})
        torch.zeros = lambda *size, **named: self.zeros(*[small(one) for one in size], **named)

    def __exit__(self, *_):
        torch.Tensor.to, torch.zeros = self.to, self.zeros


def small(size):
    return [SIZES["dim"] if count == 5120 else count for count in size] if isinstance(size, list) else size


def run(source):
    published = modules(source)
    published.CausalWanModel_S2V.dtype = torch.float32
    random.randint = lambda _, most: most
    with on_processor(), torch.no_grad():
        return roll_out(published)


def roll_out(published):
    model = published.CausalWanModel_S2V(
        **SIZES, cond_dim=16, audio_dim=FEATURES, enable_adain=True, audio_inject_layers=HEARING, zero_timestep=True,
        enable_motioner=False, enable_framepack=True, framepack_drop_mode="padd",
    )
    # Its configuration sets what the constructor does not.
    model.enable_motioner = False
    fill(model, SEED["weights"])
    layers, heads, dim = SIZES["num_layers"], SIZES["num_heads"], SIZES["dim"]
    tokens = FRAMES * GRID[0] * GRID[1] // 4
    text = [tensor(SEED["inputs"], 0, 0, SIZES["text_len"], SIZES["text_dim"])]
    reference = tensor(SEED["inputs"], 1, 0, 1, 16, 1, *GRID)
    motion = tensor(SEED["inputs"], 2, 0, 1, 16, MOTION[1], *GRID)
    pose = torch.zeros(1, 16, FRAMES, *GRID)
    level = torch.full((1, FRAMES), 1000 * LEVEL)
    # The picture, and the motion packed by 1, 8 and 64 places of a latent frame.
    sink = GRID[0] * GRID[1] // 4 * 2 + GRID[0] * GRID[1] // 16 + 4 * GRID[0] * GRID[1] // 64
    empty = lambda rows: torch.zeros(1, rows, heads, dim // heads)
    caches = [
        {"k": empty(4 * tokens), "v": empty(4 * tokens), "cond_k": empty(sink), "cond_v": empty(sink), "cond_end": torch.zeros(1, dtype=torch.long)}
        for _ in range(layers)
    ]
    shared = {"context": text, "seq_len": tokens, "ref_latents": reference, "motion_latents": motion, "cond_states": pose}
    shared.update(motion_frames=MOTION, kv_cache=caches, crossattn_cache=[None] * layers)
    latents = lambda chunk: [tensor(SEED["inputs"], 3 + chunk, 0, FRAMES, 16, *GRID).transpose(0, 1)]
    model._forward_sink(latents(0), torch.zeros(1, FRAMES), **shared)
    velocities, keys = [], []
    for chunk in range(CHUNKS):
        sound = tensor(SEED["inputs"], 5 + chunk, 0, STATES, 4 * FRAMES, FEATURES).transpose(1, 2)[None]
        with seen_sink(published, keys):
            [velocity] = model._forward_inference(latents(chunk), level, audio_input=sound, current_start=chunk * tokens, **shared)
        velocities.append(velocity.transpose(0, 1))
    values = torch.stack([cache["cond_v"][0].flatten(1) for cache in caches])
    return {"velocity": torch.stack(velocities).numpy(), "sink_k": torch.stack(keys).view(CHUNKS, *values.shape).numpy(), "sink_v": values.numpy()}


class seen_sink:
    """While active, notes the sink's keys as each layer sees them: rotated at each reading."""

    def __init__(self, published, keys):
        self.published, self.keys = published, keys

    def __enter__(self):
        self.rotate = self.published.causal_rope_apply_cond

        def rotate(x, *rest):
            rotated = self.rotate(x, *rest)
            self.keys.append(rotated[0].flatten(1).clone())
            return rotated

        self.published.causal_rope_apply_cond = rotate

    def __exit__(self, *_):
        self.published.causal_rope_apply_cond = self.rotate
