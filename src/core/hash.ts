/**
 * A 32-bit hash of a text and a number: FNV-1a over the text (Fowler, Noll, Vo), then the finaliser of
 * MurmurHash3 (Appleby). Gives decisions that look random and come out the same on every node and every replay.
 */
export function hash32(text: string, salt: number): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (salt | 0), 0x01000193);
  h = Math.imul(h ^ Math.floor(salt / 0x1_0000_0000), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** {@link hash32} as a fraction in `[0, 1)`. */
export function hashFraction(text: string, salt: number): number {
  return hash32(text, salt) / 0x1_0000_0000;
}
