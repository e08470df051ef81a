/** A script that texts are written in, with the languages that use it. Voices have the names of languages; the first is taken unless another was chosen. */
interface Script {
  readonly name: string;
  readonly letters: RegExp;
  readonly languages: readonly string[];
}

const SCRIPTS: readonly Script[] = [
  { name: 'Latin', letters: /\p{Script=Latin}/u, languages: ['en-us'] },
  {
    name: 'Cyrillic',
    letters: /\p{Script=Cyrillic}/u,
    languages: ['ru', 'uk', 'bg', 'be', 'mk', 'sr', 'kk', 'ky', 'tt', 'ba', 'cv', 'nog'],
  },
  { name: 'Greek', letters: /\p{Script=Greek}/u, languages: ['el'] },
  { name: 'Arabic', letters: /\p{Script=Arabic}/u, languages: ['ar', 'fa', 'ur'] },
  { name: 'Hebrew', letters: /\p{Script=Hebrew}/u, languages: ['he'] },
  { name: 'Devanagari', letters: /\p{Script=Devanagari}/u, languages: ['hi', 'mr', 'ne'] },
  { name: 'Bengali', letters: /\p{Script=Bengali}/u, languages: ['bn', 'as'] },
  { name: 'Gurmukhi', letters: /\p{Script=Gurmukhi}/u, languages: ['pa'] },
  { name: 'Gujarati', letters: /\p{Script=Gujarati}/u, languages: ['gu'] },
  { name: 'Tamil', letters: /\p{Script=Tamil}/u, languages: ['ta'] },
  { name: 'Telugu', letters: /\p{Script=Telugu}/u, languages: ['te'] },
  { name: 'Kannada', letters: /\p{Script=Kannada}/u, languages: ['kn'] },
  { name: 'Malayalam', letters: /\p{Script=Malayalam}/u, languages: ['ml'] },
  { name: 'Sinhala', letters: /\p{Script=Sinhala}/u, languages: ['si'] },
  { name: 'Thai', letters: /\p{Script=Thai}/u, languages: ['th'] },
  { name: 'Georgian', letters: /\p{Script=Georgian}/u, languages: ['ka'] },
  { name: 'Armenian', letters: /\p{Script=Armenian}/u, languages: ['hy'] },
  { name: 'Ethiopic', letters: /\p{Script=Ethiopic}/u, languages: ['am'] },
  { name: 'Korean', letters: /\p{Script=Hangul}/u, languages: ['ko'] },
  // Japanese mixes its own letters with Chinese characters, so both are one run when any of its own letters is there.
  { name: 'Japanese', letters: /[\p{Script=Hiragana}\p{Script=Katakana}ー]/u, languages: ['ja'] },
  { name: 'Chinese', letters: /\p{Script=Han}/u, languages: ['cmn', 'yue'] },
];
const OTHER: Script = { name: 'this', letters: /\p{L}/u, languages: [] };

/** Frequent short words that the other languages here do not have. Enough of them tell the language of a Latin text. */
const FUNCTION_WORDS: Readonly<Record<string, string>> = {
  en: 'the and is are was of to with this that you what have for not it my your be how',
  de: 'der die das und ist sind nicht ein eine ich du wir sie es mit auf zu wie dir von für guten',
  fr: 'le les et est sont une je tu vous nous il elle pas dans pour avec ce que bonjour des du',
  es: 'el los las y es son una yo tú usted nosotros no con para por que está buenos cómo del',
  it: 'il gli e è sono una io noi non con per che di questo come buongiorno della sei',
  pt: 'o os e é são uma eu você nós não com para por que isto como bom dia do da',
  nl: 'de het en is zijn een ik je jij wij niet met voor dat dit hoe goedendag van op',
};
const WORD_LISTS = Object.entries(FUNCTION_WORDS).map(
  ([language, words]) => [language, new Set(words.split(' '))] as const,
);
const MIN_KNOWN_WORDS = 3;

/** The language of a Latin text, or undefined when too few of its words tell. */
export function detectLanguage(text: string): string | undefined {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const scores = WORD_LISTS.map(([language, known]) => ({
    language,
    score: words.filter((word) => known.has(word)).length,
  }));
  const [best, second] = scores.sort((a, b) => b.score - a.score);
  if (best === undefined || best.score < MIN_KNOWN_WORDS || best.score < 2 * (second?.score ?? 0)) return undefined;
  return best.language;
}

/** Part of a text in one script. */
export interface ScriptRun {
  readonly text: string;
  /** For messages: `Cyrillic`. */
  readonly script: string;
  /** Names of voices for the script, the usual one first. */
  readonly languages: readonly string[];
}

/** Divides a text where its script changes; signs and digits stay with what is before them. */
export function scriptRuns(text: string): ScriptRun[] {
  const isJapanese = /[\p{Script=Hiragana}\p{Script=Katakana}]/u.test(text);
  const runs: { text: string; script: Script | undefined }[] = [];
  for (const character of text) {
    const letter = /\p{L}/u.test(character) ? scriptOf(character, isJapanese) : undefined;
    const last = runs.at(-1);
    if (last === undefined) runs.push({ text: character, script: letter });
    else if (letter === undefined || last.script === undefined || letter === last.script) {
      last.text += character;
      last.script ??= letter;
    } else runs.push({ text: character, script: letter });
  }
  return runs.map((run) => {
    const { name, languages } = run.script ?? (SCRIPTS[0] as Script);
    return { text: run.text, script: name, languages };
  });
}

function scriptOf(character: string, isJapanese: boolean): Script {
  const script = SCRIPTS.find(({ letters }) => letters.test(character)) ?? OTHER;
  return isJapanese && script.name === 'Chinese' ? (SCRIPTS.find(({ name }) => name === 'Japanese') as Script) : script;
}

/** Whether a voice such as `en-gb+f3` is for a language that is written in this script. */
export function voiceWrites(voice: string, { script, languages }: ScriptRun): boolean {
  const [language = ''] = voice.toLowerCase().split(/[-+]/);
  if (script !== 'Latin') return languages.includes(language);
  return !SCRIPTS.some((other) => other.name !== 'Latin' && other.languages.includes(language));
}
