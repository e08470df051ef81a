"""Writes and reads .safetensors files: 8-byte length, JSON header, raw little-endian numbers (float32, float16, int64)."""
import json
import struct
from pathlib import Path

import numpy as np

TYPES = {"float32": "F32", "float16": "F16", "int64": "I64"}


def write_safetensors(path, arrays, metadata=None):
    """arrays: name -> numpy array. Wider types come first, so that every tensor is aligned to its own size."""
    order = sorted(arrays, key=lambda name: (-arrays[name].dtype.itemsize, list(arrays).index(name)))
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name in order:
        array = arrays[name]
        if str(array.dtype) not in TYPES:
            raise ValueError(f"{name} is {array.dtype}; only {', '.join(TYPES)} are written")
        header[name] = {"dtype": TYPES[str(array.dtype)], "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(np.ascontiguousarray(arrays[name]).tobytes() for name in order)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def read_safetensors(path):
    """name -> numpy array."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    kinds = {short: np.dtype(long) for long, short in TYPES.items()}
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        arrays[name] = np.frombuffer(data[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"]).copy()
    return arrays
