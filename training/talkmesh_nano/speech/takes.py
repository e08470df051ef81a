"""Takes: utterances with phone times, in a folder of pcm.npy and takes.json."""
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .synthesis import RATE_HZ


class Take(NamedTuple):
    """One utterance: pcm float32 at 24 kHz with a peak of .7; phones [(start s, IPA)], '' is a pause; `end_s` is where the last phone ends."""

    voice: str
    text: str
    pcm: np.ndarray
    phones: list
    end_s: float


def normalised(pcm):
    """pcm as float32 with a peak of .7, the level that `augment` expects."""
    return np.float32(pcm * (0.7 / max(1e-3, float(np.abs(pcm).max()))))


def save(folder, takes):
    """Writes takes to a folder, which is made."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pcm = [np.round(np.clip(t.pcm, -1, 1) * 32767).astype(np.int16) for t in takes]
    facts = [{"voice": t.voice, "text": t.text, "phones": t.phones, "end_s": t.end_s, "samples": len(p)} for t, p in zip(takes, pcm)]
    np.save(folder / "pcm.npy", np.concatenate(pcm) if pcm else np.zeros(0, np.int16))
    (folder / "takes.json").write_text(json.dumps(facts, ensure_ascii=False))


def load(folder):
    """The takes of a folder, in the order in which they were saved."""
    folder, takes, at = Path(folder), [], 0
    pcm = np.load(folder / "pcm.npy", mmap_mode="r")
    for fact in json.loads((folder / "takes.json").read_text()):
        part = pcm[at:at + fact["samples"]].astype(np.float32) / 32767
        takes.append(Take(fact["voice"], fact["text"], part, [(float(s), n) for s, n in fact["phones"]], fact["end_s"]))
        at += fact["samples"]
    return takes


def seconds(takes):
    """Sound in all takes, in seconds."""
    return sum(len(t.pcm) for t in takes) / RATE_HZ
