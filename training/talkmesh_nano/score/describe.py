"""The score network's architecture as data, for the graph compiler of libs/inference (talkmesh.dit/1)."""
from .model import modulation_size


def describe(score):
    """A Score -> its description; tensor names are those of its state dict, {i} the layer."""
    config, d = score.config, score.config.dim
    block = "blocks.{i}."
    plain = {"kind": "layer", "eps": 1e-5}
    head = d // config.heads // 2
    width = modulation_size(config, with_t=True)
    return {
        "schema": "talkmesh.dit/1", "dim": d, "heads": config.heads, "layers": config.layers, "mlp": config.mlp,
        "patch": {"size": [1, 1], "enter": "enter", "slots": "slots"},
        "rope": {"pairs": "half", "axes": [{"axis": "frame", "pairs": head, "theta": 30}], "contextChunks": 2},
        "time": {
            "scale": 1, "frequencies": {"tensor": "time.frequencies", "count": len(score.time.frequencies)},
            "inner": "time.inner", "hidden": config.time_hidden, "outer": "time.outer", "output": ["t", "outer"],
        },
        "modulation": {
            "size": width, "t": 0, "layer": {"offset": 1, "stride": 6 * d, "table": block + "bias"},
            "head": {"offset": width - 2 * d, "stride": d},
        },
        "attention": {"norm": plain, "qkv": {"kind": "fused", "all": block + "qkv"}, "out": block + "out"},
        "cross": {
            "norm": plain, "q": block + "audio_q", "kv": {"kind": "fused", "all": block + "audio_kv"}, "out": block + "audio_out",
            "tokens": {"kind": "frame", "place": "audio_place"}, "slotGate": block + "audio_gate",
        },
        "entry": "audio_enter",
        "film": {"enter": "audio_film", "activation": "silu", "layer": block + "film"},
        "feedForward": {"norm": plain, "up": block + "up", "activation": "gelu-tanh", "down": block + "down"},
        "head": {
            "norm": plain, "leave": "leave", "order": "channel-first", "skip": "skip",
            "predicts": {"kind": "x0", "limit": config.x0_limit, "minT": 0.02},
        },
    }


def weights(score, half_from=1024):
    """State dict -> name -> array: tensors of `half_from` or more numbers as float16. Rotary tables are left out; the graph compiler computes them."""
    arrays = {}
    for name, tensor in score.state_dict().items():
        if name == "angles":
            continue
        array = tensor.detach().cpu().float().numpy()
        arrays[name] = array.astype("float16") if array.size >= half_from else array
    return arrays
