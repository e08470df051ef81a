"""Voices other than espeak-ng's: phone times of Kokoro and of aligned recordings, takes, and their stretches. Needs neither network nor voices."""
import tempfile
import unittest
import wave
from pathlib import Path
from unittest import mock

import numpy as np

from talkmesh_nano.dataset.cache import Cache
from talkmesh_nano.dataset.spoken import FRAMES, changed, drawn, in_order, in_room
from talkmesh_nano.evaluate.voices import figures
from talkmesh_nano.motion.visemes import phoneme_targets, viseme_track
from talkmesh_nano.speech import alignment, kokoro, recordings
from talkmesh_nano.speech.arpabet import IPA
from talkmesh_nano.speech.augment import augment
from talkmesh_nano.speech.synthesis import RATE_HZ
from talkmesh_nano.speech.takes import Take, load, normalised, save


def tone(seconds, level=0.7, hz=220.0):
    """A sine with an amplitude of `level`."""
    return np.float32(level * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ))


def take(seconds=2.0, voice="tone"):
    """Sound from .2 s before the end of each half; ah, then a closed m."""
    return Take(voice, "ah, mah", tone(seconds), [(0.0, "ɑ"), (seconds / 2, "m"), (seconds / 2 + 0.2, "ɑ")], seconds)


class KokoroTest(unittest.TestCase):
    def test_durations_become_phone_times(self):
        symbols = ["", "h", "ə", "l", "ˈ", "O", ",", " ", "m", "ˈ", "i", "ː", ""]
        named, end_s = kokoro.phones(symbols, [4, 2, 2, 2, 1, 6, 8, 2, 4, 1, 3, 5, 2])
        starts = dict((name, at) for at, name in named if name)
        self.assertEqual([name for _, name in named], ["", "h", "ə", "l", "oʊ", "", "", "m", "i", ""])
        # a stress mark's time belongs to the vowel, and everything is 50 ms earlier than the durations say
        self.assertAlmostEqual(starts["oʊ"], 10 * 0.025 - kokoro.LABELS_LATE_S)
        self.assertAlmostEqual(starts["i"], 31 * 0.025 - kokoro.LABELS_LATE_S)
        self.assertAlmostEqual(named[-1][0], 40 * 0.025 - kokoro.LABELS_LATE_S)
        self.assertAlmostEqual(end_s, 42 * 0.025 - kokoro.LABELS_LATE_S)
        self.assertEqual(named[0][0], 0.0)

    def test_ipa_in_the_symbols_of_the_voice(self):
        self.assertEqual(kokoro.to_kokoro("həlˈo^ʊ", "af_heart"), "həlˈO")
        self.assertEqual(kokoro.to_kokoro("həlˈə^ʊ", "bm_lewis"), "həlˈQ")
        self.assertEqual(kokoro.to_kokoro("d^ʒˈe^ɪmz", "af_heart"), "ʤˈAmz")
        self.assertEqual(kokoro.to_kokoro("bˈɜːd", "af_heart"), "bˈɜɹd")
        self.assertEqual(kokoro.to_kokoro("gat^ʃo", "if_sara"), "gaʧo")

    def test_every_letter_of_kokoro_has_a_mouth(self):
        for ipa in kokoro._TO_IPA.values():
            self.assertTrue(phoneme_targets(ipa), ipa)

    def test_voices_of_the_evaluation_are_not_trained(self):
        trained = {*kokoro.TRAIN_VOICES, *kokoro.FOREIGN_VOICES}
        self.assertFalse(trained & {*kokoro.TEST_VOICES, *kokoro.UNSEEN_LANGUAGE_VOICES})
        self.assertFalse({v[0] for v in trained} & {v[0] for v in kokoro.UNSEEN_LANGUAGE_VOICES})


class AlignmentTest(unittest.TestCase):
    def test_phones_and_pauses_of_the_aligner(self):
        named, end_s = alignment.ipa_phones([("SIL", 0, 20), ("M", 20, 8), ("AY", 28, 15), ("+BREATH+", 43, 30)])
        self.assertEqual([name for _, name in named], ["", "m", "aɪ", ""])
        self.assertAlmostEqual(named[1][0], 0.2)
        self.assertAlmostEqual(end_s, 0.73)
        with self.assertRaisesRegex(ValueError, "arpabet"):
            alignment.ipa_phones([("QQ", 0, 3)])

    def test_every_phone_has_a_mouth(self):
        for ipa in IPA.values():
            self.assertTrue(phoneme_targets(ipa), ipa)

    def test_words(self):
        self.assertEqual(alignment.words_of("It's \"forty-two\" lines."), ["it's", "forty", "two", "lines"])

    def test_a_clip_is_cut_in_the_pauses_between_its_sentences(self):
        class Segment:
            def __init__(self, word, start, end):
                self.word, self.start_frame, self.end_frame = word, start, end

        class Decoder:
            segments = (Segment("<s>", 0, 9), Segment("one", 10, 40), Segment("two(2)", 41, 80), Segment("<sil>", 81, 119), Segment("three", 120, 150))

            def seg(self):
                return self.segments

            def hyp(self):
                return self.segments

            def set_align_text(self, text):
                self.text = text

            def ignore(self, *_):
                pass

            start_utt = process_raw = end_utt = ignore

        decoder = Decoder()
        with mock.patch.object(alignment, "_decoder", lambda _: decoder):
            parts = alignment.by_sentence(tone(2.0), "One two. Three.")
            self.assertEqual(decoder.text, "one two three")
            self.assertEqual([text for _, text in parts], ["One two.", "Three."])
            self.assertEqual([len(pcm) for pcm, _ in parts], [RATE_HZ, RATE_HZ])
            # a word was lost: no cut can be trusted
            self.assertEqual(alignment.by_sentence(tone(2.0), "One two. Three four."), [])

    def test_a_quiet_part_of_a_phone_is_a_pause(self):
        pcm = np.concatenate([tone(1.0), tone(0.5, 0.0005), tone(1.0)])
        named, _ = alignment.with_pauses(pcm, [(0.0, "ɑ"), (0.8, "n"), (1.53, "i")], 2.5)
        self.assertEqual([name for _, name in named], ["ɑ", "n", "", "i"])
        self.assertAlmostEqual(named[2][0], 1.0, delta=0.03)
        # the sound after the pause is the next phone's, though the aligner gave its first 30 ms to the phone before
        self.assertAlmostEqual(named[3][0], 1.5, delta=0.03)
        frames = 62
        _, _, silent = viseme_track(named, 2.5, frames)
        self.assertTrue(silent[28:34].all())
        self.assertFalse(silent[:20].any())

    def test_a_stop_is_no_pause(self):
        pcm = np.concatenate([tone(1.0), tone(0.09, 0.0005), tone(1.0)])
        phones = [(0.0, "ɑ"), (1.0, "p"), (1.1, "i")]
        self.assertEqual(alignment.with_pauses(pcm, phones, 2.09)[0], phones)

    def test_speech_in_a_pause_means_that_the_text_was_lost(self):
        self.assertIsNone(alignment.with_pauses(tone(2.0), [(0.0, "ɑ"), (0.5, ""), (1.5, "i")], 2.0))


class RecordingsTest(unittest.TestCase):
    def test_all_readings_of_a_sentence_are_on_one_side(self):
        self.assertTrue(recordings.held_out("arctic_a0011_1592748574"))
        self.assertTrue(recordings.held_out("arctic_a0011_99"))
        self.assertFalse(recordings.held_out("arctic_b0012_1592748574"))
        with self.assertRaisesRegex(ValueError, "number"):
            recordings.held_out("hello")

    def test_clips_and_their_texts(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            with self.assertRaises(FileNotFoundError):
                recordings.clips_of(folder)
            stereo = np.round(np.stack([tone(0.5), tone(0.5)], 1).repeat(2, 0) * 32767).astype(np.int16)
            with wave.open(str(folder / "a2.wav"), "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(2 * RATE_HZ)
                file.writeframes(stereo.tobytes())
            (folder / "a2.txt").write_text("Hello.\n")
            self.assertEqual(recordings.clips_of(folder), [("a2", folder / "a2.wav", "Hello.")])
            pcm = recordings.read_wav(folder / "a2.wav")
            self.assertEqual(len(pcm), RATE_HZ // 2)
            self.assertAlmostEqual(float(np.abs(pcm).max()), 0.7, delta=0.02)
            (folder / "metadata.csv").write_text("L-1|1 line|one line\n")
            self.assertEqual(recordings.clips_of(folder), [("L-1", folder / "wavs" / "L-1.wav", "one line")])


class SpokenTest(unittest.TestCase):
    def test_takes_are_kept(self):
        with tempfile.TemporaryDirectory() as folder:
            save(folder, [take(1.0, "a"), take(2.0, "b")])
            one, two = load(folder)
        self.assertEqual((one.voice, two.voice, two.text), ("a", "b", "ah, mah"))
        self.assertEqual(two.phones, take(2.0).phones)
        np.testing.assert_allclose(two.pcm, take(2.0).pcm, atol=1e-4)

    def test_labels_move_with_the_sound(self):
        for seed in range(6):
            pcm, phones, end_s = changed(np.random.default_rng(seed), take())
            self.assertAlmostEqual(len(pcm) / RATE_HZ, end_s, delta=0.001)
            self.assertAlmostEqual(phones[1][0] / end_s, 0.5, delta=0.001)
            self.assertAlmostEqual(float(np.abs(pcm).max()), 0.7, delta=0.01)

    def test_the_hiss_of_a_room_is_a_pause(self):
        pcm, phones, end_s = in_room(np.random.default_rng(3), *take()[2:])
        before = phones[1][0]
        self.assertEqual((phones[0], phones[-1]), ((0.0, ""), (before + 2.0, "")))
        self.assertGreater(end_s, before + 2.0)
        level = np.abs(pcm[:int(before * RATE_HZ)]).max()
        self.assertTrue(0 < level < 0.03, level)

    def test_a_stretch_is_silent_where_no_take_is(self):
        pcm, rig, flags = in_order([take()])[0]
        self.assertEqual((pcm.shape, rig.shape, flags.shape), ((FRAMES * 960,), (FRAMES, 15), (FRAMES,)))
        silent = flags >= 2
        self.assertTrue(silent[:6].all() and silent[75:].all())
        self.assertEqual(float(rig[silent, 0].max()), 0.0)
        loud = np.abs(pcm.astype(np.float32)).reshape(FRAMES, 960).max(1) > 1000
        self.assertFalse((loud & silent).any())
        # the m lies in the middle of the take, which begins after .4 s; lips lead by 40 ms
        self.assertEqual(set(np.flatnonzero(flags & 1)), set(range(34, 39)))

    def test_every_take_once(self):
        takes = [Take(*take(5.0)[:2], normalised(tone(5.0)), [(0.0, "ɑ")], 5.0) for _ in range(9)]
        rows = in_order(takes)
        spoken = sum(int((flags < 2).sum()) for _, _, flags in rows)
        self.assertGreater(spoken, 9 * 5 * 25)
        self.assertLess(spoken, 9 * 5 * 25 * 1.06)
        with self.assertRaisesRegex(ValueError, "cut it"):
            in_order([take(30.0)])

    def test_the_same_seed_draws_the_same_stretch(self):
        one, two = (drawn(np.random.default_rng([4, 2]), [take(), take(3.0)]) for _ in range(2))
        for a, b in zip(one, two):
            np.testing.assert_array_equal(a, b)

    def test_levels_fall_as_far_as_asked(self):
        sound = tone(1.0)
        peaks = [float(np.abs(augment(np.random.default_rng(k), sound, None, 60.0)).max()) for k in range(40)]
        self.assertLess(min(peaks), 10 ** (-40 / 20))
        self.assertGreaterEqual(min(float(np.abs(augment(np.random.default_rng(k), sound)).max()) for k in range(40)), 10 ** (-36 / 20))

    def test_shards_are_read_by_the_cache_and_judged(self):
        with tempfile.TemporaryDirectory() as folder:
            rows = in_order([take(4.0)])
            (Path(folder) / "test0").mkdir()
            for name, arrays in zip(("pcm", "rig", "flags"), zip(*rows)):
                np.save(Path(folder) / "test0" / f"{name}.npy", np.stack(arrays))
            pcm, rig, flags = next(Cache(folder, "test").stretches())
        sound = pcm.astype(np.float32)
        perfect = figures([rig[:, :4]], [rig], [flags], [sound])
        self.assertEqual(perfect["open_width_round_teeth"][0], 1.0)
        self.assertEqual((perfect["silence_closed"], perfect["mbp_below_0.15"], perfect["lag_frames"]), (1.0, 1.0, 0))
        self.assertEqual((perfect["recorded_silence_closed"], perfect["silent_frames"][1]), (None, 0))
        noisy = figures([rig[:, :4]], [rig], [flags], [sound + 1])
        self.assertEqual(noisy["silent_frames"][0], noisy["silent_frames"][1])
        late = figures([np.roll(rig[:, :4], 2, 0)], [rig], [flags], [sound])
        self.assertEqual(late["lag_frames"], 2)
        self.assertLess(late["silence_closed"], 1.0)


if __name__ == "__main__":
    unittest.main()
