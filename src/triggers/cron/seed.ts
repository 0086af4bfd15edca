import type { CronFieldName } from './fields.js';
import type { CronItem, ScannedField } from './scan.js';

/**
 * Replaces `H` items by what a seed picks for them: `H` one value, `H/15` every fifteenth from one of the first
 * fifteen. The same seed and field always pick the same, on every machine and in every release; different fields and
 * seeds pick independently.
 *
 * @returns undefined when there are `H` items but no seed.
 */
export function seedFields(fields: ScannedFields, seed: string | undefined): ScannedFields | undefined {
  if (!hasHash(fields)) return fields;
  if (seed === undefined) return undefined;
  return Object.fromEntries(
    Object.entries(fields).map(([name, field]) => {
      const hash = fnv1a(`${name}:${seed}`);
      return [name, { ...field, items: field.items.map((item) => (isHash(item) ? pick(item, hash) : item)) }];
    }),
  );
}

type ScannedFields = Readonly<Partial<Record<CronFieldName, ScannedField>>>;
function hasHash(fields: ScannedFields): boolean {
  for (const { items } of Object.values(fields)) if (items.some(isHash)) return true;
  return false;
}

type HashItem = Extract<CronItem, { type: 'hash' }>;

function isHash(item: CronItem): item is HashItem {
  return item.type === 'hash';
}

function pick({ from, to, step }: HashItem, hash: number): CronItem {
  const size = to - from + 1;
  if (step === 1) {
    const value = from + (hash % size);
    return { type: 'range', from: value, to: value, step: 1 };
  }
  return { type: 'range', from: from + (hash % Math.min(step, size)), to, step };
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo), over UTF-16 units, finished by MurmurHash3's mixer to spread short texts. */
function fnv1a(text: string): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
