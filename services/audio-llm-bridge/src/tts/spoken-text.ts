/** Words for signs that a speech engine would name or leave out. */
interface Words {
  readonly dot: string;
  readonly at: string;
  readonly slash: string;
  readonly to: string;
  readonly times: string;
  readonly number: string;
  readonly about: string;
}

const WORDS: Readonly<Record<string, Words>> = {
  en: { dot: 'dot', at: 'at', slash: 'slash', to: 'to', times: 'times', number: 'number', about: 'about' },
  de: { dot: 'Punkt', at: 'ät', slash: 'Schrägstrich', to: 'bis', times: 'mal', number: 'Nummer', about: 'etwa' },
  fr: { dot: 'point', at: 'arobase', slash: 'barre', to: 'à', times: 'fois', number: 'numéro', about: 'environ' },
  es: { dot: 'punto', at: 'arroba', slash: 'barra', to: 'a', times: 'por', number: 'número', about: 'unos' },
  it: { dot: 'punto', at: 'chiocciola', slash: 'barra', to: 'a', times: 'per', number: 'numero', about: 'circa' },
  pt: { dot: 'ponto', at: 'arroba', slash: 'barra', to: 'a', times: 'vezes', number: 'número', about: 'cerca de' },
  nl: {
    dot: 'punt',
    at: 'apenstaartje',
    slash: 'schuine streep',
    to: 'tot',
    times: 'keer',
    number: 'nummer',
    about: 'ongeveer',
  },
};

const CURRENCIES: Readonly<Record<string, string>> = { $: 'USD', '€': 'EUR', '£': 'GBP', '¥': 'JPY', '₹': 'INR' };
/** Units of ECMA-402 by their symbols; only those that are unambiguous after a number. */
const UNITS: Readonly<Record<string, string>> = {
  km: 'kilometer',
  cm: 'centimeter',
  mm: 'millimeter',
  kg: 'kilogram',
  '°C': 'celsius',
  '°F': 'fahrenheit',
  'km/h': 'kilometer-per-hour',
  mph: 'mile-per-hour',
  ml: 'milliliter',
  KB: 'kilobyte',
  MB: 'megabyte',
  GB: 'gigabyte',
  TB: 'terabyte',
  ms: 'millisecond',
};
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };
const NUMBER = String.raw`\d+(?:[.,]\d+)*`;

type Rule = readonly [pattern: RegExp, replacement: string | ((...match: string[]) => string)];
const apply = (text: string, rules: readonly Rule[]): string =>
  rules.reduce((rewritten, [pattern, to]) => rewritten.replace(pattern, to as string), text);

/**
 * Rewrites a text as a person would read it aloud: without markup, with addresses, amounts and dates in words. What a speech engine
 * reads well by itself (whole numbers, percent, ordinals, abbreviations) stays.
 * @param language of the text, for example `en`; rules that need words are left out for a language without any
 */
export function spokenForm(text: string, language: string): string {
  const words = WORDS[language];
  const plain = apply(withoutMarkup(text), [
    ...(words === undefined ? [] : addresses(words)),
    ...amounts(language),
    ...(words === undefined ? [] : signs(words)),
  ]);
  return apply(plain.trim(), LEFTOVERS).trim();
}

/** The text without markup and signs that are not spoken, in whatever language it is. */
export const withoutMarkup = (text: string): string => apply(text.normalize('NFC'), [...INVISIBLE, ...MARKUP]);

const INVISIBLE: readonly Rule[] = [
  // Keycaps are digits; other emoji are not spoken.
  [/([0-9#*])\uFE0F?\u20E3/gu, '$1'],
  [
    /\p{Regional_Indicator}|(?![0-9#*©®™])\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|[\u{1F3FB}-\u{1F3FF}]/gu,
    ' ',
  ],
  [/[\u{1F000}-\u{1FAFF}\u2600-\u27BF]|\uFE0F|\u200D/gu, ' '],
  [/[\u200B\u200C\u200E\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u00AD]/gu, ''],
  [/\r\n?/g, '\n'],
  [/\n{2,}/g, '\n'],
  // Other control characters; line ends separate sentences below.
  [/(?!\n)\p{Cc}/gu, ' '],
];

/** Markdown (CommonMark, and tables), HTML and SSML. */
const MARKUP: readonly Rule[] = [
  [/<!--[\s\S]*?-->/g, ' '],
  [/<(script|style)\b[^>]*>[\s\S]*?<\/\1\s*>/gi, ' '],
  [/^ {0,3}(```|~~~).*$/gm, ''],
  [/<((?:https?|mailto):[^\s<>]+)>/g, '$1'],
  [/<\/(?:p|div|li|h\d|tr|s)\s*>|<br\s*\/?>/gi, '\n'],
  [/<\/?[a-zA-Z][\w:-]*(?:\s[^<>]*)?\/?>/g, ' '],
  [/&(amp|lt|gt|quot|apos|nbsp);/g, (_, name = '') => ENTITIES[name] ?? ' '],
  [/&#(\d{1,6});/g, (_, code) => String.fromCodePoint(Math.min(Number(code), 0x10ffff))],
  [/!?\[([^\][]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+"[^"]*")?\)/g, '$1'],
  [/\[\^[^\]]*\]:?/g, ' '],
  [/^\[[^\]]+\]:\s+\S+.*$/gm, ''],
  [/^ {0,3}(?:[-*_] *){3,}$/gm, ''],
  [/^[ \t]*\|?(?:[ \t]*:?-{3,}:?[ \t]*\|)+(?:[ \t]*:?-{3,}:?[ \t]*)?$/gm, ''],
  [
    /^[ \t]*\|(.*\S.*)\|[ \t]*$/gm,
    (_, row = '') =>
      row
        .split('|')
        .map((cell) => cell.trim())
        .filter(Boolean)
        .join(', '),
  ],
  [/^ {0,3}#{1,6} +(.*?) *#*$/gm, '$1'],
  [/^[ \t]*(?:> ?)+/gm, ''],
  [/^[ \t]*[-*+•] +(?:\[[ xX]\] +)?/gm, ''],
  [/^[ \t]*(\d{1,3})\) +/gm, '$1. '],
  [/`+([^`\n]+)`+/g, '$1'],
  [/\\([\\`*_{}[\]()#+.!~|>-])/g, '$1'],
  [/(\*{1,3})(?=\S)([^*\n]*\S)\1/g, '$2'],
  [/(?<![\p{L}\p{N}_])(_{1,3})(?=\S)([^_\n]*\S)\1(?![\p{L}\p{N}_])/gu, '$2'],
  [/~~([^~\n]+)~~/g, '$1'],
  // espeak-ng takes [[...]] for phonemes.
  [/\[\[|\]\]/g, ' '],
];

function addresses({ dot, at, slash }: Words): Rule[] {
  const read = (name: string): string => name.replaceAll('.', ` ${dot} `).replaceAll(/[-_]/g, ' ');
  const path = (text = ''): string => {
    const parts = text.split(/[/?#]/).filter((part) => part !== '');
    // A person reads a short path, and leaves a long one or one of codes out.
    const isShort =
      parts.length <= 2 && !/[?#=%]/.test(text) && parts.every((part) => /^[\p{L}._-]{1,20}$/u.test(part));
    return isShort ? parts.map((part) => ` ${slash} ${read(part)}`).join('') : '';
  };
  return [
    [
      /\b(?:mailto:)?([\w.+-]+)@([\w-]+(?:\.[\w-]+)+)/g,
      (_, name = '', host = '') => `${read(name)} ${at} ${read(host)}`,
    ],
    [
      /\b(?:https?:\/\/|www\.)(?:www\.)?([\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*)(?::\d+)?((?:[/?#][^\s<>()"']*)?[^\s<>()"'.,;:!?])?/gu,
      (_, host = '', rest = '') => `${read(host)}${path(rest)}`,
    ],
  ];
}

/** Amounts of money, units and ISO dates, in the words of CLDR. */
function amounts(language: string): Rule[] {
  const locale = Intl.NumberFormat.supportedLocalesOf(language)[0];
  if (locale === undefined) return [];
  const format = (number: string, options: Intl.NumberFormatOptions): string => {
    const value = Number(number.replaceAll(',', ''));
    const digits = /\.(\d+)$/.exec(number)?.[1]?.length ?? 0;
    return new Intl.NumberFormat(locale, {
      ...options,
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
    }).format(value);
  };
  const money = (sign = '', number = '', scale = ''): string => {
    const currency = CURRENCIES[sign] ?? 'USD';
    if (scale === '') return format(number, { style: 'currency', currency, currencyDisplay: 'name' });
    const name = new Intl.NumberFormat(locale, { style: 'currency', currency, currencyDisplay: 'name' })
      .formatToParts(2)
      .find(({ type }) => type === 'currency')?.value;
    return `${number} ${scale} ${name ?? currency}`;
  };
  const symbols = Object.keys(UNITS)
    .sort((a, b) => b.length - a.length)
    .join('|');
  return [
    [
      new RegExp(`([$€£¥₹]) ?(${NUMBER})(?: ?(million|billion|thousand))?(?![\\d])`, 'g'),
      (_, sign, number, scale) => money(sign, number, scale),
    ],
    [new RegExp(`(?<![\\d.,])(${NUMBER}) ?([€£])`, 'g'), (_, number, sign) => money(sign, number)],
    [
      new RegExp(`(?<![\\p{L}\\d.,])(${NUMBER}) ?(${symbols})(?![\\p{L}\\d/])`, 'gu'),
      (_, number = '', unit = '') =>
        format(number, { style: 'unit', unit: UNITS[unit] as string, unitDisplay: 'long' }),
    ],
    [
      /(?<!\d)(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?!\d)/g,
      (_, year, month, day) =>
        new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' }).format(
          Date.UTC(Number(year), Number(month) - 1, Number(day)),
        ),
    ],
  ];
}

function signs({ to, times, number, about, at }: Words): Rule[] {
  return [
    // A range; not a telephone number or a longer code.
    [/(?<![\d-])(\d{1,4})\s?[-–—]\s?(\d{1,4})(?![\d-])/g, `$1 ${to} $2`],
    [/(?<=\d)\s*[*×]\s*(?=\d)/g, ` ${times} `],
    [/(?<![\p{L}\d])#(?=\d)/gu, `${number} `],
    [/(?<![\p{L}\d])~\s?(?=\d)/gu, `${about} `],
    [/(?<![\p{L}\d])@(?=\p{L})/gu, `${at} `],
  ];
}

const LEFTOVERS: readonly Rule[] = [
  [/ *\| */g, ', '],
  [/(?<=\p{L})_+(?=\p{L})/gu, ' '],
  [/[*`\\_{}~^]+/g, ' '],
  [/[←-⇿■-◿]/gu, ' '],
  [/[–—]/g, ', '],
  [/^[ \t,]+|[ \t,]+$/gm, ''],
  // A line is a sentence of its own, so that the voice pauses.
  [/(?<=[^\s.,;:!?…])[ \t]*\n+\s*/g, '. '],
  [/[ \t]*\n\s*/g, ' '],
  [/\s+([.,;:!?])/g, '$1'],
  [/,(?:\s*,)+/g, ','],
  [/\s{2,}/g, ' '],
];
