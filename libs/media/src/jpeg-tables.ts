/** Tables of ITU-T T.81, annex K: quantisation for quality 50, and the usual Huffman codes. */

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** Row by row: luma, chroma. */
export const QUANTISATION = [
  bytes(
    '100b0a101828333d0c0c0e131a3a3c370e0d1018283945380e11161d3357503e' +
      '12162538446d674d182337405168715c31404e5767797865485c5f6270646763',
  ),
  bytes(
    '1112182f6363636312151a4263636363181a3863636363632f42636363636363' +
      '6363636363636363636363636363636363636363636363636363636363636363',
  ),
] as const;

/** Position in the block of the n-th coefficient of the zigzag scan. */
export const ZIGZAG = bytes(
  '000108100902030a11182019120b04050c131a21283029221b140d06070e151c' +
    '232a313839322b241d160f171e252c333a3b342d261f272e353c3d362f373e3f',
);

export interface HuffmanTable {
  /** Class and destination, as in the DHT segment: 0x00 DC luma, 0x10 AC luma, 0x01 DC chroma, 0x11 AC chroma. */
  readonly id: number;
  /** Number of codes of each length, 1 to 16 bits. */
  readonly lengths: Uint8Array;
  /** Symbols in the order of their codes. */
  readonly symbols: Uint8Array;
}

export const HUFFMAN: readonly HuffmanTable[] = [
  { id: 0x00, lengths: bytes('00010501010101010100000000000000'), symbols: bytes('000102030405060708090a0b') },
  {
    id: 0x10,
    lengths: bytes('0002010303020403050504040000017d'),
    symbols: bytes(
      '01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a161718191a25262728292a34353637' +
        '38393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788898a92939495969798999aa2a3' +
        'a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9fa',
    ),
  },
  { id: 0x01, lengths: bytes('00030101010101010101010000000000'), symbols: bytes('000102030405060708090a0b') },
  {
    id: 0x11,
    lengths: bytes('00020102040403040705040400010277'),
    symbols: bytes(
      '000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a262728292a3536' +
        '3738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788898a92939495969798999a' +
        'a2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9fa',
    ),
  },
];
