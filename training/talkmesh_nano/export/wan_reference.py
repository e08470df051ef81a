"""A causal pass of a Wan-shaped transformer in plain PyTorch functions: the reference for the graph compiler.

Original tensor names and order of operations (Wan 2.1, modules/model.py); attention as in score.py: a chunk sees a context of kept
keys (before rotary) and itself, positions are places in that window.
"""
import torch
import torch.nn.functional as F


def shapes(dim, mlp, layers, channels, text_dim, count=8, image_dim=0):
    """Name -> shape of every tensor; count: frequencies of the timestep embedding; image_dim: of the image-to-video models."""
    d, found = dim, {"patch_embedding.weight": (dim, channels, 1, 2, 2), "patch_embedding.bias": (dim,)}

    def linear(prefix, inputs, outputs):
        found[f"{prefix}.weight"], found[f"{prefix}.bias"] = (outputs, inputs), (outputs,)

    linear("text_embedding.0", text_dim, d), linear("text_embedding.2", d, d)
    linear("time_embedding.0", 2 * count, d), linear("time_embedding.2", d, d), linear("time_projection.1", d, 6 * d)
    for i in range(layers):
        at = f"blocks.{i}."
        found[at + "modulation"] = (1, 6, d)
        for attention in ("self_attn", "cross_attn"):
            for name in "qkvo":
                linear(f"{at}{attention}.{name}", d, d)
            found[f"{at}{attention}.norm_q.weight"] = found[f"{at}{attention}.norm_k.weight"] = (d,)
        if image_dim:
            linear(at + "cross_attn.k_img", d, d), linear(at + "cross_attn.v_img", d, d)
            found[at + "cross_attn.norm_k_img.weight"] = (d,)
        found[at + "norm3.weight"] = found[at + "norm3.bias"] = (d,)
        linear(at + "ffn.0", d, mlp), linear(at + "ffn.2", mlp, d)
    found["head.modulation"] = (1, 2, d)
    linear("head.head", d, channels * 4)
    if image_dim:
        for name, width in (("0", image_dim), ("4", d)):
            found[f"img_emb.proj.{name}.weight"] = found[f"img_emb.proj.{name}.bias"] = (width,)
        linear("img_emb.proj.1", image_dim, image_dim), linear("img_emb.proj.3", image_dim, d)
    return found


def random_weights(found, seed=0):
    """Name -> float64 tensor rounded to half precision, sized so that signals keep their size."""
    torch.manual_seed(seed)
    weights = {}
    for name, shape in found.items():
        if "norm" in name or name.startswith(("img_emb.proj.0", "img_emb.proj.4")):
            value = 0.2 * torch.randn(shape) + (1 if name.endswith("weight") else 0)
        elif name.endswith("bias") or "modulation" in name:
            value = 0.3 * torch.randn(shape)
        else:
            value = torch.randn(shape)
            value = value / value[0].numel() ** 0.5
        weights[name] = value.half().double()
    return weights


class WanReference:
    def __init__(self, weights, heads):
        self.weights, self.heads = weights, heads
        self.dim = weights["head.head.weight"].shape[1]
        self.layers = sum(name.endswith("norm3.weight") for name in weights)

    def linear(self, x, prefix):
        return F.linear(x, self.weights[f"{prefix}.weight"], self.weights[f"{prefix}.bias"])

    def rms(self, x, name):
        """Over the full width, before the split into heads."""
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weights[name]

    def norm(self, x, prefix=None):
        affine = () if prefix is None else (self.weights[f"{prefix}.weight"], self.weights[f"{prefix}.bias"])
        return F.layer_norm(x, x.shape[-1:], *affine, eps=1e-6)

    def time(self, t):
        """t in 0..1 -> (e [D], e6 [6, D])."""
        count = self.weights["time_embedding.0.weight"].shape[1] // 2
        angle = 1000 * t * 10000.0 ** (-torch.arange(count, dtype=torch.float64) / count)
        inner = F.silu(self.linear(torch.cat([torch.cos(angle), torch.sin(angle)]), "time_embedding.0"))
        e = self.linear(inner, "time_embedding.2")
        return e, self.linear(F.silu(e), "time_projection.1").reshape(6, -1)

    def context(self, text, image=None):
        def gelu(x):
            return F.gelu(x, approximate="tanh")

        text = self.linear(gelu(self.linear(text, "text_embedding.0")), "text_embedding.2")
        if image is None:
            return text, None
        rows = F.layer_norm(image, image.shape[-1:], self.weights["img_emb.proj.0.weight"], self.weights["img_emb.proj.0.bias"])
        rows = self.linear(F.gelu(self.linear(rows, "img_emb.proj.1")), "img_emb.proj.3")
        return text, F.layer_norm(rows, rows.shape[-1:], self.weights["img_emb.proj.4.weight"], self.weights["img_emb.proj.4.bias"])

    def rotate(self, x, frames, rows, columns):
        """x [S, heads, h] of whole frames, the first at position 0; pairs of neighbours, axes time, row, column."""
        width = x.shape[-1]
        sizes = [width - 4 * (width // 6), 2 * (width // 6), 2 * (width // 6)]
        grid = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (frames, rows, columns)), indexing="ij")
        parts = []
        for position, size in zip(grid, sizes):
            step = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
            parts.append(position.reshape(-1, 1) * step)
        angle = torch.cat(parts, 1)[:, None]
        pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angle), angle)).flatten(-2)

    def attention(self, q, k, v):
        q, k, v = (x.reshape(x.shape[0], self.heads, -1).transpose(0, 1) for x in (q, k, v))
        y = torch.softmax(q @ k.transpose(1, 2) * q.shape[-1] ** -0.5, -1) @ v
        return y.transpose(0, 1).reshape(y.shape[1], -1)

    def step(self, x, t, text, k_context, v_context, image=None):
        """x [F, C, H, W], contexts [L, M, D] -> velocity [F, C, H, W], keys and values [L, T, D]."""
        frames, _, height, width = x.shape
        rows, columns = height // 2, width // 2
        e, e6 = self.time(t)
        text, picture = self.context(text, image)
        weight = self.weights["patch_embedding.weight"][:, :, 0]
        h = F.conv2d(x, weight, self.weights["patch_embedding.bias"], stride=2).flatten(2).transpose(1, 2).reshape(-1, self.dim)
        keys, values = [], []
        for i in range(self.layers):
            h, k, v = self.block(i, h, e6, text, picture, (k_context[i], v_context[i]), (frames, rows, columns))
            keys.append(k), values.append(v)
        shift, scale = (self.weights["head.modulation"][0] + e).unbind(0)
        out = self.linear(self.norm(h) * (1 + scale) + shift, "head.head")
        out = out.reshape(frames, rows, columns, 2, 2, -1).permute(0, 5, 1, 3, 2, 4)
        return out.reshape(frames, -1, height, width), torch.stack(keys), torch.stack(values)

    def block(self, i, h, e6, text, picture, context, grid):
        at = f"blocks.{i}."
        shift, scale, gate, shift2, scale2, gate2 = (self.weights[at + "modulation"][0] + e6).unbind(0)
        n = self.norm(h) * (1 + scale) + shift
        q = self.rms(self.linear(n, at + "self_attn.q"), at + "self_attn.norm_q.weight")
        k = self.rms(self.linear(n, at + "self_attn.k"), at + "self_attn.norm_k.weight")
        v = self.linear(n, at + "self_attn.v")
        all_k, all_v = torch.cat([context[0], k]), torch.cat([context[1], v])
        frames, rows, columns = grid
        window = all_k.shape[0] // (rows * columns)
        behind = torch.zeros(all_k.shape[0] - q.shape[0], q.shape[1], dtype=q.dtype)
        split = [x.reshape(x.shape[0], self.heads, -1) for x in (torch.cat([behind, q]), all_k)]
        turned_q, turned_k = (self.rotate(x, window, rows, columns).flatten(1) for x in split)
        y = self.attention(turned_q[-q.shape[0]:], turned_k, all_v)
        h = h + gate * self.linear(y, at + "self_attn.o")
        h = h + self.cross_attention(at + "cross_attn.", self.norm(h, at + "norm3"), text, picture)
        n = self.norm(h) * (1 + scale2) + shift2
        return h + gate2 * self.linear(F.gelu(self.linear(n, at + "ffn.0"), approximate="tanh"), at + "ffn.2"), k, v

    def cross_attention(self, at, n, text, picture):
        q = self.rms(self.linear(n, at + "q"), at + "norm_q.weight")
        y = self.attention(q, self.rms(self.linear(text, at + "k"), at + "norm_k.weight"), self.linear(text, at + "v"))
        if picture is not None:
            k = self.rms(self.linear(picture, at + "k_img"), at + "norm_k_img.weight")
            y = y + self.attention(q, k, self.linear(picture, at + "v_img"))
        return self.linear(y, at + "o")
