"""espeak-ng through its C API: speech with phoneme times, hundreds of times faster than real time.

espeak-ng is an external program library (GPL); it makes training data and is never shipped or linked by talkmesh.
"""
import ctypes as C

import numpy as np

_SYNCHRONOUS, _PHONEME_EVENTS_IPA, _CHARS_AUTO = 2, 3, 0
_EVENT_PHONEME = 7
_RATE, _PITCH, _RANGE = 1, 3, 4


class _Id(C.Union):
    _fields_ = [("number", C.c_int), ("name", C.c_char_p), ("string", C.c_char * 8)]


class _Event(C.Structure):
    _fields_ = [
        ("type", C.c_int), ("uid", C.c_uint), ("text_position", C.c_int), ("length", C.c_int),
        ("audio_position", C.c_int), ("sample", C.c_int), ("user_data", C.c_void_p), ("id", _Id),
    ]


_CALLBACK = C.CFUNCTYPE(C.c_int, C.POINTER(C.c_short), C.c_int, C.POINTER(_Event))


class Espeak:
    """One espeak-ng instance. The library is a process-wide singleton: make one per process.

    Raises OSError when libespeak-ng is missing (Debian: `apt-get install espeak-ng`).
    """

    def __init__(self):
        self._lib = C.CDLL("libespeak-ng.so.1")
        self.rate_hz = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IPA)
        if self.rate_hz <= 0:
            raise OSError("espeak-ng did not initialise; is espeak-ng-data installed?")
        self._samples, self._phonemes = [], []
        self._callback = _CALLBACK(self._collect)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, count, events):
        if count > 0 and samples:
            self._samples.append(np.ctypeslib.as_array(samples, (count,)).copy())
        i = 0
        while events[i].type != 0:
            if events[i].type == _EVENT_PHONEME:
                # the name field holds 8 bytes: a longer name is cut, possibly inside a character
                name = events[i].id.string.decode("utf8", "ignore")
                self._phonemes.append((events[i].audio_position / 1000.0, name))
            i += 1
        return 0

    def speak(self, text, voice="en-us", rate=165, pitch=50, pitch_range=50):
        """Speech of `text`: (pcm float32 -1..1 at `rate_hz`, [(start seconds, IPA name)]); '' is a pause.

        rate: words a minute; pitch, pitch_range: 0..100. Raises ValueError for an unknown voice.
        """
        self._samples.clear()
        self._phonemes.clear()
        if self._lib.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for parameter, value in ((_RATE, rate), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._lib.espeak_SetParameter(parameter, int(value), 0)
        data = text.encode()
        self._lib.espeak_Synth(data, len(data) + 1, 0, 1, 0, _CHARS_AUTO, None, None)
        pcm = np.concatenate(self._samples) if self._samples else np.zeros(0, np.int16)
        return pcm.astype(np.float32) / 32768.0, list(self._phonemes)
