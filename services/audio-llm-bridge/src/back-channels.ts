/** Words with which listeners of each language show that they follow. Words that may also answer or object, such as "no" or "wait", are left out. */
const BACK_CHANNELS: Readonly<Record<string, readonly string[]>> = {
  en: 'yes,yeah,yep,yup,right,ok,okay,sure,true,exactly,i see,got it,all right,alright,good,great,cool,nice,of course'.split(
    ',',
  ),
  de: 'ja,jo,jap,genau,ok,okay,gut,klar,richtig,stimmt,ach so,achso,verstehe,natürlich,alles klar'.split(','),
  fr: "oui,ouais,d'accord,ok,bien,exact,exactement,c'est ça,je vois,bien sûr,voilà".split(','),
  es: 'sí,si,claro,vale,ok,bien,bueno,exacto,ya,ya veo,de acuerdo,por supuesto'.split(','),
  it: "sì,si,certo,ok,bene,esatto,giusto,d'accordo,capisco,va bene".split(','),
  pt: 'sim,claro,ok,certo,tá,está bem,exato,pois,entendo,isso'.split(','),
  nl: 'ja,oké,ok,goed,precies,juist,klopt,ik snap het,natuurlijk'.split(','),
  ja: 'はい,うん,ええ,そう,そうですね,そうですか,なるほど,へえ'.split(','),
  zh: '嗯,对,对的,是,是的,好,好的,没错,明白,知道了'.split(','),
};
/** Sounds that mean the same in most languages. */
const SOUNDS = 'm,mm,mmm,mhm,mmhm,hm,hmm,hmmm,uh huh,uhhuh,mm hm,mm hmm,aha,ah,oh'.split(',');
/** Chinese and Japanese write no spaces between words. */
const WITHOUT_SPACES = new Set(['ja', 'zh']);
const LONGEST = 40;

const lettersOf = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[’`]/gu, "'")
    .replace(/[^\p{L}\p{M}']+/gu, ' ')
    .trim();

const patterns = Object.entries(BACK_CHANNELS).map(([language, words]) => {
  const all = [...words, ...SOUNDS].sort((a, b) => b.length - a.length).join('|');
  const end = WITHOUT_SPACES.has(language) ? '\\s*' : '(?:\\s+|$)';
  return [language, new RegExp(`^(?:(?:${all})${end})+$`, 'u')] as const;
});

/**
 * Whether a text consists of nothing but signs of listening, such as "Mhm, right."
 * @param language BCP 47; a language without a list, or none: those of all languages count
 */
export function isBackChannel(text: string, language: string): boolean {
  const letters = lettersOf(text);
  if (letters === '' || letters.length > LONGEST) return false;
  const [primary = ''] = language.toLowerCase().split('-');
  const known = patterns.some(([name]) => name === primary);
  return patterns.some(([name, pattern]) => (!known || name === primary) && pattern.test(letters));
}
