"""Phone times of a recording whose English text is known: forced alignment by PocketSphinx (BSD; its package holds the acoustic model)."""
import re

import numpy as np

from .arpabet import ADDED_WORDS, IPA
from .synthesis import RATE_HZ, resample

_HEARD_HZ = 16000
# wider and wider beams: a narrow one is quick and loses the path in one utterance out of ten
_BEAMS = ({}, {"beam": 1e-64, "wbeam": 1e-48, "pbeam": 1e-64}, {"beam": 0.0, "wbeam": 0.0, "pbeam": 0.0})
_FRAME_S = 0.01
# a stop closes the mouth for up to about 100 ms; what is quiet for longer is a pause, which the aligner likes to add to the phone before
_PAUSE_FRAMES, _EDGE_FRAMES = 14, 8
_QUIET_DB, _LOUD_DB, _ABOVE_FLOOR_DB = (-42.0, -30.0), -22.0, 8.0


def words_of(text):
    """Lower-case words of a sentence, without punctuation."""
    return re.sub(r"[^a-z' ]", " ", text.lower().replace("-", " ")).split()


def ipa_phones(names):
    """([(start s, IPA)], end s) of phones [(CMU name, first frame, frames)]; silences and noises ('SIL', '+BREATH+') become pauses."""
    out, end = [], 0
    for name, start, frames in names:
        known = not (name.startswith("+") or name == "SIL")
        if known and name.lower() not in IPA:
            raise ValueError(f"the aligner returned a phone that is not in the table: {name!r}; add it to speech/arpabet.py")
        out.append((start * _FRAME_S, IPA[name.lower()] if known else ""))
        end = start + frames
    return out, end * _FRAME_S


def aligned(pcm, text):
    """([(start s, IPA)], end s) of a recording at 24 kHz; None when a word is not in the dictionary, no path fits or the path misses speech."""
    data = _heard(pcm)
    for beams in _BEAMS:
        decoder = _decoder(beams)
        words = words_of(text)
        if not words or any(decoder.lookup_word(word) is None for word in words):
            return None
        names = _two_passes(decoder, data, " ".join(words))
        if names:
            return with_pauses(pcm, *ipa_phones(names))
    return None


def by_sentence(pcm, text):
    """[(pcm, sentence)] of a recording of several sentences, cut in the middle of the pauses between them; empty when no path fits.

    Phones of more than about ten seconds are often lost, words are not.
    """
    decoder, sentences = _decoder({}), [part.strip() + "." for part in text.split(".") if words_of(part)]
    decoder.set_align_text(" ".join(words_of(text)))
    _listen(decoder, _heard(pcm))
    # <s>, <sil> and [NOISE] are no words
    words = [segment for segment in decoder.seg() if segment.word[0] not in "<["] if decoder.hyp() else []
    out, at, start = [], 0, 0
    for sentence in sentences:
        at += len(words_of(sentence))
        if at > len(words):
            return []
        stop = len(pcm) if at == len(words) else int((words[at - 1].end_frame + words[at].start_frame) / 2 * _FRAME_S * RATE_HZ)
        out.append((pcm[start:stop], sentence))
        start = stop
    return out


def _heard(pcm):
    """24 kHz sound as PocketSphinx reads it: 16-bit samples at 16 kHz, near full scale."""
    sound = resample(pcm, _HEARD_HZ / RATE_HZ)
    return np.int16(np.clip(sound * (0.8 / max(1e-4, float(np.abs(sound).max()))), -1, 1) * 32767).tobytes()


def _decoder(beams):
    """A new decoder each time: its running mean of the cepstrum would carry over from the utterance before."""
    import pocketsphinx

    decoder = pocketsphinx.Decoder(lm=None, loglevel="FATAL", **beams)
    for word, phones in ADDED_WORDS.items():
        decoder.add_word(word, phones)
    return decoder


def _listen(decoder, data):
    decoder.start_utt()
    decoder.process_raw(data, False, True)
    decoder.end_utt()


def _two_passes(decoder, data, text):
    """Words first, then their phones: [(name, first frame, frames)], or None when the beams lost the path."""
    try:
        decoder.set_align_text(text)
        _listen(decoder, data)
        if not decoder.hyp():
            return None
        decoder.set_alignment()
        _listen(decoder, data)
        return [(phone.name, phone.start, phone.duration) for word in decoder.get_alignment() for phone in word]
    except RuntimeError:
        return None


def levels_db(pcm):
    """Loudness of every 10 ms over 30 ms, in dB below the loudest twentieth."""
    hop = int(RATE_HZ * _FRAME_S)
    power = np.square(pcm[:len(pcm) // hop * hop].reshape(-1, hop)).mean(1)
    level = 10 * np.log10(np.convolve(power, np.full(3, 1 / 3), "same") + 1e-9)
    return level - np.percentile(level, 95)


def with_pauses(pcm, phones, end_s):
    """(phones, end s) with a pause wherever the sound is quiet for longer than a stop lasts; None when a pause is loud.

    A loud pause means that the aligner has lost the text: such a clip would teach closed lips in speech.
    """
    level = levels_db(pcm)
    quiet = level < np.clip(np.percentile(level, 2) + _ABOVE_FLOOR_DB, *_QUIET_DB)
    out, marks, early = [], [*phones, (end_s, "")], None
    for (start, name), (stop, _) in zip(marks[:-1], marks[1:]):
        start, early = start if early is None else early, None
        first, last = round(start / _FRAME_S), min(round(stop / _FRAME_S), len(level))
        if not name and last - first >= _PAUSE_FRAMES and np.median(level[first:last]) > _LOUD_DB:
            return None
        out.append((start, name))
        for a, b in _runs(quiet[first:last]) if name else ():
            if b - a < _PAUSE_FRAMES:
                continue
            if a < _EDGE_FRAMES:
                out.pop()
            out.append(((first + a) * _FRAME_S, ""))
            if last - first - b > _EDGE_FRAMES:
                out.append(((first + b) * _FRAME_S, name))
            else:
                # what sounds right before the next phone belongs to it
                early = (first + b) * _FRAME_S
    return out, end_s


def _runs(mask):
    """[(first, stop)] of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2], edges[1::2]))
