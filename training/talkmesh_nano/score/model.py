"""The score model: a small DiT over motion latents with sparse causal attention.

Tokens are the 4 slots of each latent frame (mouth A, mouth B, eyes, pose); a chunk is F latent frames (3 or 7) = 4 F tokens.
A chunk sees itself, the chunk before it and c_0, all at the same noise level; keys are kept before rotary embedding and
rotated by re-assigned frame positions (c_0: 0..F-1, c_{t-1}: F..2F-1, c_t: 2F..3F-1, in the bidirectional stages c_{t+1}: 3F..4F-1).
"""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from ..sizes import TOKEN_DIM, TOKENS_PER_LATENT

SLOTS, CHANNELS = 4, 8


@dataclass
class ScoreConfig:
    """Sizes of the network; `frames` latent frames make a chunk. Weights do not depend on `frames`, so a model can be adapted to another."""

    frames: int = 3
    dim: int = 128
    layers: int = 4
    heads: int = 4
    mlp: int = 384
    time_hidden: int = 64
    x0_limit: float = 7.0

    @property
    def tokens(self):
        """Tokens of a chunk."""
        return self.frames * SLOTS


def norm(x):
    """Layer norm without affine; the width is a plain int, so that the exporter sees a constant."""
    return F.layer_norm(x, (int(x.shape[-1]),))


def modulate(x, shift, scale):
    return norm(x) * (1 + scale) + shift


def rotary(x, table):
    """Rotates channel pairs (first half, second half) of x [..., T, heads, D] by table [T, D / 2] angles given as (cos, sin)."""
    cos, sin = table[0][:, None], table[1][:, None]
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


class TimeEmbedding(nn.Module):
    """t [B] in 0..1 -> modulation [B, K]: everything in the network that depends on t alone."""

    def __init__(self, config):
        super().__init__()
        self.register_buffer("frequencies", torch.exp(torch.linspace(0, np.log(200.0), 24)))
        self.inner = nn.Linear(48, config.time_hidden)
        self.outer = nn.Linear(config.time_hidden, modulation_size(config))
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.outer.bias)

    def forward(self, t):
        angle = t[:, None] * self.frequencies
        features = torch.cat([torch.cos(angle), torch.sin(angle)], 1)
        return torch.cat([t[:, None], self.outer(F.silu(self.inner(features)))], 1)


def modulation_size(config, with_t=False):
    """Numbers per step: 6 vectors a layer and 2 for the output; the modulation also carries t itself in front."""
    return config.layers * 6 * config.dim + 2 * config.dim + (1 if with_t else 0)


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.dim
        self.heads = config.heads
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.audio_q = nn.Linear(d, d)
        self.audio_kv = nn.Linear(TOKEN_DIM, 2 * d)
        self.audio_out = nn.Linear(d, d)
        # audio mostly determines the mouth, so the mouth slots start with full weight
        self.audio_gate = nn.Parameter(torch.tensor([1.0, 1.0, 0.3, 0.3]))
        self.film = nn.Linear(d, 2 * d)
        self.up = nn.Linear(d, config.mlp)
        self.down = nn.Linear(config.mlp, d)
        self.bias = nn.Parameter(torch.zeros(6, d))
        for layer in (self.out, self.audio_out, self.down, self.film):
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.film.weight)
        with torch.no_grad():
            # gates start at one tenth, so a fresh block is close to the identity yet passes gradients
            self.bias[2] = self.bias[5] = 0.1

    def split(self, x):
        return x.reshape(*x.shape[:-1], self.heads, -1)

    def project(self, x, mod):
        """q, k, v [.., T, heads, D] before rotary embedding."""
        q, k, v = self.qkv(modulate(x, mod[..., 0, :] + self.bias[0], mod[..., 1, :] + self.bias[1])).chunk(3, -1)
        return self.split(q), self.split(k), self.split(v)

    def self_attention(self, x, q, k, v, mod, mask=None):
        """x plus gated attention; q [.., T, h, D], k and v [.., S, h, D], already rotated."""
        y = attention(q, k, v, mask)
        return x + (mod[..., 2, :] + self.bias[2]) * self.out(y)

    def cross_attention(self, x, tokens, use_audio):
        """Cross-attention from each latent frame's slots to its own audio tokens [.., F, Ta, Da]; x [.., T, d]."""
        if not use_audio:
            return x
        rows = x.reshape(*tokens.shape[:-2], SLOTS, x.shape[-1])
        k, v = self.audio_kv(tokens).chunk(2, -1)
        q = self.audio_q(norm(rows))
        y = self.audio_out(few_keys(self.split(q), self.split(k), self.split(v))) * self.audio_gate[:, None]
        return x + y.reshape(x.shape)

    def mlp(self, x, film, mod):
        """MLP whose AdaLN also takes the frame's audio: film [.., F, 2d] -> every slot of its frame."""
        rows = norm(x).reshape(*film.shape[:-1], SLOTS, x.shape[-1])
        shift, scale = film[..., None, :].chunk(2, -1)
        shift = shift + (mod[..., 3, :] + self.bias[3])[..., None, :]
        h = rows * (1 + scale + (mod[..., 4, :] + self.bias[4])[..., None, :]) + shift
        h = self.down(F.gelu(self.up(h), approximate="tanh")).reshape(x.shape)
        return x + (mod[..., 5, :] + self.bias[5]) * h


def attention(q, k, v, mask):
    """Softmax attention over [.., T, heads, D]; returns [.., T, heads * D]. mask: additive, broadcast to [.., h, T, S]."""
    q, k, v = q.transpose(-2, -3), k.transpose(-2, -3), v.transpose(-2, -3)
    logits = q @ k.transpose(-1, -2) * (q.shape[-1] ** -0.5)
    if mask is not None:
        logits = logits + mask
    y = (torch.softmax(logits, -1) @ v).transpose(-2, -3)
    return y.reshape(*y.shape[:-2], -1)


def few_keys(q, k, v):
    """Attention of [.., 4, heads, D] over 4 keys: as products and sums, since a batched product of so small matrices is mostly overhead."""
    weight = torch.softmax((q[..., :, None, :, :] * k[..., None, :, :, :]).sum(-1) * (q.shape[-1] ** -0.5), -2)
    y = (weight[..., None] * v[..., None, :, :, :]).sum(-3)
    return y.reshape(*y.shape[:-2], -1)


class Score(nn.Module):
    def __init__(self, config=None):
        super().__init__()
        self.config = config = config or ScoreConfig()
        self.checkpointing = False
        d = config.dim
        self.time = TimeEmbedding(config)
        self.enter = nn.Linear(CHANNELS, d)
        self.slots = nn.Parameter(torch.randn(SLOTS, d) * 0.3)
        self.audio_enter = nn.Linear(TOKENS_PER_LATENT * TOKEN_DIM, SLOTS * d)
        self.audio_film = nn.Linear(TOKENS_PER_LATENT * TOKEN_DIM, d)
        self.audio_place = nn.Parameter(torch.randn(TOKENS_PER_LATENT, TOKEN_DIM) * 0.3)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.leave = nn.Linear(d, CHANNELS)
        self.skip = nn.Parameter(torch.zeros(SLOTS, CHANNELS))
        nn.init.zeros_(self.audio_enter.weight)
        nn.init.zeros_(self.audio_enter.bias)
        half = d // config.heads // 2
        angle = np.arange(4 * config.frames)[:, None] * (1.0 / 30.0 ** (np.arange(half) / half))[None]
        angle = np.repeat(angle, SLOTS, 0)
        self.register_buffer("angles", torch.tensor(np.stack([np.cos(angle), np.sin(angle)]), dtype=torch.float32))

    def audio_parameters(self):
        """Names of the parameters that stage 2 trains while everything else is frozen."""
        return [n for n, _ in self.named_parameters() if "audio" in n or "film" in n]

    def embed(self, x, audio, use_audio):
        """x [.., F, 8, 2, 2] -> tokens [.., 4 F, d], FiLM input [.., F, d], audio tokens with their places."""
        cells = x.reshape(*x.shape[:-2], SLOTS).transpose(-1, -2)
        h = self.enter(cells) + self.slots
        flat = audio.reshape(*audio.shape[:-2], -1)
        if use_audio:
            h = h + self.audio_enter(flat).reshape(h.shape)
        film = F.silu(self.audio_film(flat)) * float(use_audio)
        return h.reshape(*h.shape[:-3], self.config.tokens, h.shape[-1]), film, audio + self.audio_place

    def output(self, h, x, modulation):
        """Tokens -> x0 estimate [.., F, 8, 2, 2], limited to +-x0_limit."""
        d = self.config.dim
        y = self.leave(modulate(h, modulation[..., -2 * d:-d], modulation[..., -d:]))
        y = y.reshape(*y.shape[:-2], self.config.frames, SLOTS, CHANNELS).transpose(-1, -2)
        y = y + x.reshape(y.shape) * self.skip.T
        y = y.clamp(-self.config.x0_limit, self.config.x0_limit)
        return y.reshape(x.shape)

    def layer_modulation(self, modulation, index):
        d = self.config.dim
        part = modulation[..., 1 + index * 6 * d:1 + (index + 1) * 6 * d]
        return part.reshape(*part.shape[:-1], 6, d)

    def forward(self, x, audio, t, look_ahead=False, use_audio=True):
        """A whole sequence at once: x [B, N, F, 8, 2, 2] with c_0 first, audio [B, N, F, Ta, Da], t [B] -> x0 of the same shape.

        Because every chunk's context is at the chunk's own noise level, this is the roll-out itself, not teacher forcing:
        chunk n's keys come from exactly the pass that the service keeps. look_ahead adds c_{n+1} (bidirectional stages only).
        With `checkpointing` a layer's activations are computed again in the backward pass instead of being kept.
        """
        batch, count = x.shape[:2]
        h, film, tokens = self.embed(x, audio, use_audio)
        modulation = self.time(t)
        mask = None
        if look_ahead:
            mask = torch.zeros(count - 1, 1, 1, 4 * self.config.tokens, device=x.device)
            mask[-1, ..., 3 * self.config.tokens:] = -1e9
        for index, block in enumerate(self.blocks):
            mod = self.layer_modulation(modulation, index)[:, None, None]
            arguments = (block, h, film, tokens, mod, mask, use_audio)
            h = checkpoint(self.layer, *arguments) if self.checkpointing and torch.is_grad_enabled() else self.layer(*arguments)
        return self.output(h, x, modulation[:, None, None])

    def layer(self, block, h, film, tokens, mod, mask, use_audio):
        """One block over a whole sequence h [B, N, 4 F, d]; a mask means that chunks also see the next one."""
        rot = [self.angles[:, k * self.config.tokens:(k + 1) * self.config.tokens] for k in range(4)]
        count = h.shape[1]
        q, k, v = block.project(h, mod)
        first = block.self_attention(h[:, :1], rotary(q[:, :1], rot[0]), rotary(k[:, :1], rot[0]), v[:, :1], mod)
        anchor = rotary(k[:, :1], rot[0]).expand(-1, count - 1, -1, -1, -1)
        keys = [anchor, rotary(k[:, :-1], rot[1]), rotary(k[:, 1:], rot[2])]
        values = [v[:, :1].expand(-1, count - 1, -1, -1, -1), v[:, :-1], v[:, 1:]]
        if mask is not None:
            keys.append(F.pad(rotary(k[:, 2:], rot[3]), (0, 0, 0, 0, 0, 0, 0, 1)))
            values.append(F.pad(v[:, 2:], (0, 0, 0, 0, 0, 0, 0, 1)))
        rest = block.self_attention(h[:, 1:], rotary(q[:, 1:], rot[2]), torch.cat(keys, 2), torch.cat(values, 2), mod, mask)
        h = block.cross_attention(torch.cat([first, rest], 1), tokens, use_audio)
        return block.mlp(h, block.film(film), mod)

    def step(self, x, modulation, audio, k_context, v_context):
        """One chunk, as exported: x [F,8,2,2], modulation [K], audio [F,Ta,Da], contexts [L,M,d] -> velocity, k, v."""
        h, film, tokens = self.embed(x, audio, True)
        total = k_context.shape[1] + self.config.tokens
        table = self.angles[:, :total]
        keys, values = [], []
        for index, block in enumerate(self.blocks):
            mod = self.layer_modulation(modulation, index)
            q, k, v = block.project(h, mod)
            keys.append(k.reshape(self.config.tokens, -1))
            values.append(v.reshape(self.config.tokens, -1))
            all_k = block.split(torch.cat([k_context[index], keys[-1]], 0))
            all_v = block.split(torch.cat([v_context[index], values[-1]], 0))
            h = block.self_attention(h, rotary(q, table[:, -self.config.tokens:]), rotary(all_k, table), all_v, mod)
            h = block.cross_attention(h, tokens, True)
            h = block.mlp(h, block.film(film), mod)
        x0 = self.output(h, x, modulation)
        return (x - x0) / modulation[0].clamp(min=0.02), torch.stack(keys), torch.stack(values)
