"""The phones of the CMU dictionary, as Flite and PocketSphinx name them, in the IPA symbols that `visemes` maps."""

IPA = {
    "aa": "ɑ", "ae": "a", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ", "d": "d", "dh": "ð",
    "eh": "ɛ", "er": "ɜ", "ey": "eɪ", "f": "f", "g": "ɡ", "hh": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m",
    "n": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ", "uh": "ʊ", "uw": "u",
    "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ",
}
# words of the material that PocketSphinx's dictionary lacks
ADDED_WORDS = {"refraction": "R AH F R AE K SH AH N"}
