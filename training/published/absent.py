"""Stands for what the published code imports but a processor does not have, or does not need for these runs."""
import sys
import types
from unittest.mock import MagicMock

import torch
import torch.nn.functional as F


def attention(q, k, v):
    """What flash-attn and PyTorch 2 compute. q, k, v [.., S, d] -> [.., S, d]."""
    return torch.softmax(q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5, -1) @ v


def flash_attention(q, k, v, **_):
    """q, k, v [B, S, heads, d] -> [B, S, heads, d]. Sequences here are never padded."""
    return attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)


def stand_in(name, **content):
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module
    return module


def nothing(*names):
    for name in names:
        sys.modules[name] = MagicMock(name=name)


class Plain(torch.nn.Module):
    """diffusers' base classes add loading and saving only."""


def install():
    if not hasattr(F, "scaled_dot_product_attention"):
        F.scaled_dot_product_attention = lambda q, k, v, **_: attention(q, k, v)
    if not hasattr(torch, "compile"):
        torch.compile = lambda function, **_: function
    stand_in("torch.nn.attention")
    stand_in("torch.nn.attention.flex_attention", create_block_mask=None, flex_attention=None, BlockMask=object)
    stand_in("diffusers")
    stand_in("diffusers.configuration_utils", ConfigMixin=type("ConfigMixin", (), {}), register_to_config=lambda f: f)
    stand_in("diffusers.models")
    stand_in("diffusers.models.modeling_utils", ModelMixin=Plain)
