"""Neural speech with phone times by Kokoro-82M, for training; writes takes.

python -m talkmesh_nano.speech.kokoro --kokoro DIR --out DIR --seconds S [--split train|test|portuguese] [--seed N] [--texts FILE]
DIR holds kokoro.onnx, vocab.json and voices/*.bin (training/README.md says where they come from). Needs onnxruntime and the espeak-ng command.
Kokoro (weights Apache-2.0) makes training data and is never shipped.
"""
import argparse
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import onnx

from .alignment import aligned, with_pauses
from .synthesis import RATE_HZ
from .takes import Take, normalised, save
from .text import sentence

# the last step of the duration predictor: frames of 25 ms for every token
_DURATIONS, _FRAME_S = "/encoder/Clip_output_0", 0.025
# its durations trail the sound by 50 to 65 ms, measured against forced alignments of ten utterances by five voices
LABELS_LATE_S = 0.05
_MOST_TOKENS = 500
_PUNCTUATION = ",.!?;:—"

TRAIN_VOICES = (
    "af_heart", "af_bella", "af_nicole", "af_kore", "af_nova", "af_alloy", "af_aoede", "af_jessica", "af_river", "af_sky",
    "am_michael", "am_fenrir", "am_puck", "am_onyx", "am_echo", "am_eric",
    "bf_emma", "bf_alice", "bf_lily", "bm_george", "bm_fable", "bm_daniel",
)
TEST_VOICES = ("af_sarah", "am_adam", "bm_lewis", "bf_isabella", "am_liam")
FOREIGN_VOICES = ("ef_dora", "em_alex", "ff_siwis", "if_sara", "im_nicola")
UNSEEN_LANGUAGE_VOICES = ("pf_dora", "pm_alex")
# a voice's first letter -> (espeak-ng voice, language of speech.text)
_LANGUAGES = {"a": ("en-us", "en"), "b": ("en-gb", "en"), "e": ("es", "es"), "f": ("fr-fr", "fr"), "i": ("it", "it"), "p": ("pt-br", "pt")}

# from espeak-ng's IPA with ties to the symbols that Kokoro was trained on; longer ones first
_SHARED = (
    ("ʔˌn̩", "tᵊn"), ("ʔn̩", "tᵊn"), ("a^ɪ", "I"), ("a^ʊ", "W"), ("d^ʒ", "ʤ"), ("e^ɪ", "A"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("ə^l", "ᵊl"),
)
_ENGLISH = (
    ("ʔ", "t"), ("e", "A"), ("r", "ɹ"), ("x", "k"), ("ç", "k"), ("ɐ", "ə"), ("ɚ", "əɹ"), ("ɬ", "l"), ("ʲ", ""), ("\u0303", ""),
)
_BRITISH = (("e^ə", "ɛː"), ("iə", "ɪə"), ("ə^ʊ", "Q"))
_AMERICAN = (("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""))
_OTHER = (("d^z", "ʣ"), ("t^s", "ʦ"), ("o^ʊ", "O"), ("ə^ʊ", "Q"))
# Kokoro's own letters back in IPA, as `visemes` reads it
_TO_IPA = {
    "A": "eɪ", "I": "aɪ", "O": "oʊ", "W": "aʊ", "Y": "ɔɪ", "Q": "əʊ", "ʤ": "dʒ", "ʧ": "tʃ", "ʣ": "dz", "ʦ": "ts", "ᵊ": "ə",
}
_STRESS, _LONGER = "ˈˌ", "ː\u0303ʰʲ"


def to_kokoro(ipa, voice):
    """espeak-ng's IPA (ties as ^) of one phrase in Kokoro's symbols."""
    table = {"a": _SHARED + _ENGLISH + _AMERICAN, "b": _SHARED + _ENGLISH + _BRITISH}.get(voice[0], _SHARED + _OTHER)
    for ours, theirs in table:
        ipa = ipa.replace(ours, theirs)
    return ipa.replace("^", "")


def spelled(text, voice):
    """Text as Kokoro's symbols, with the punctuation that makes its pauses. Raises CalledProcessError when espeak-ng fails."""
    out = []
    for part in re.split(f"([{_PUNCTUATION}])", text):
        if part in tuple(_PUNCTUATION):
            out.append(part + " ")
        elif part.strip():
            command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", _LANGUAGES[voice[0]][0], part.strip()]
            ipa = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
            # marks of a switch of language, as in "(en)meeting(fr)"
            out.append(to_kokoro(re.sub(r"\([a-z-]+\)", "", " ".join(ipa.split())), voice))
    return "".join(out).strip()


def phones(symbols, frames):
    """([(start s, IPA)], end s) of Kokoro's symbols with their durations in frames; '' is a pause.

    A stress mark belongs to the sound after it, a length or nasal mark to the one before. Times are moved forward by LABELS_LATE_S.
    """
    at, out, early = -LABELS_LATE_S, [], None
    for symbol, count in zip(symbols, frames):
        start, at = at, at + float(count) * _FRAME_S
        if symbol and symbol in _STRESS:
            early = start if early is None else early
            continue
        if symbol and symbol in _LONGER:
            continue
        name = "" if symbol in ("", " ", *_PUNCTUATION) else _TO_IPA.get(symbol, symbol)
        out.append((max(0.0, start if early is None or not name else early), name))
        early = None
    return out, at


class Kokoro:
    """The network with its durations as a second output, on one thread. Raises FileNotFoundError when a part is missing."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.vocabulary = json.loads((self.folder / "vocab.json").read_text())["vocab"]
        import onnxruntime

        model = onnx.load(str(self.folder / "kokoro.onnx"))
        model.graph.output.append(onnx.helper.make_tensor_value_info(_DURATIONS, onnx.TensorProto.FLOAT, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def style(self, voice):
        """[510, 256]: one style for each length of text."""
        return np.fromfile(self.folder / "voices" / f"{voice}.bin", np.float32).reshape(-1, 256)

    def speak(self, text, voice, style, speed=1.0):
        """(pcm float32 24 kHz, [(start s, IPA)], end s); symbols that Kokoro does not know are left out."""
        symbols = [s for s in spelled(text, voice) if s in self.vocabulary][:_MOST_TOKENS]
        ids = [0, *(self.vocabulary[s] for s in symbols), 0]
        feed = {"tokens": np.array([ids], np.int64), "style": style[len(symbols)][None], "speed": np.array([speed], np.float32)}
        pcm, frames = self.session.run(None, feed)
        named, end_s = phones(["", *symbols, ""], frames.ravel())
        return pcm.ravel(), named, end_s


def takes_of(kokoro, rng, split, seconds, texts=(), align=False):
    """Takes of at least `seconds` of sound. In training half of the English voices are blends of two, and one utterance in ten is foreign.

    texts: sentences that half of the English utterances are taken from; the rest come from speech.text. align: phone times by forced alignment, which
    is finer than durations and leaves out what is not English.
    """
    voices = {"train": TRAIN_VOICES, "test": TEST_VOICES, "portuguese": UNSEEN_LANGUAGE_VOICES}[split]
    takes, samples, spoken = [], 0, 0
    while samples < seconds * RATE_HZ:
        foreign = split == "train" and rng.random() < 0.1
        voice = _pick(rng, FOREIGN_VOICES) if foreign else voices[spoken % len(voices)]
        spoken += 1
        style, name, language = kokoro.style(voice), voice, _LANGUAGES[voice[0]][1]
        if split == "train" and not foreign and rng.random() < 0.5:
            other, share = _pick(rng, TRAIN_VOICES), rng.uniform(0.2, 0.8)
            style, name = share * style + (1 - share) * kokoro.style(other), f"{voice}+{other}"
        if len(texts) and language == "en" and rng.random() < 0.5:
            text = _pick(rng, texts)
        else:
            text = " ".join(sentence(rng, "test" if split == "test" else "train", language) for _ in range(int(rng.integers(1, 4))))
        pcm, named, end_s = kokoro.speak(text, voice, style.astype(np.float32), float(rng.uniform(0.85, 1.25)))
        # the last sound before a pause is given up to .4 s of it
        found = aligned(pcm, text) if align else with_pauses(pcm, named, end_s)
        if found:
            takes.append(Take(name, text, normalised(pcm), *found))
            samples += len(pcm)
    return takes


def _pick(rng, items):
    return items[int(rng.integers(len(items)))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kokoro", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--split", default="train", choices=["train", "test", "portuguese"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", help="file of sentences, one a line")
    parser.add_argument("--align", action="store_true", help="phone times by forced alignment (English; needs pocketsphinx)")
    args = parser.parse_args()
    texts = [line for line in Path(args.texts).read_text().splitlines() if line] if args.texts else ()
    takes = takes_of(Kokoro(args.kokoro), np.random.default_rng(args.seed), args.split, args.seconds, texts, args.align)
    save(args.out, takes)
    print(f"{len(takes)} takes, {sum(len(t.pcm) for t in takes) / RATE_HZ:.0f} s")


if __name__ == "__main__":
    main()
