import { JobUnstorableError } from '../../errors/job-errors.js';

/** A key is part of a subject, which the protocol bounds at 4 kB. In the worst case it is three times as long as the id. */
const MOST_BYTES = 1_000;

/**
 * A text as one token of a subject: letters, digits, `_` and `-` as they are, every other byte of its UTF-8 form as `=XX`.
 * So that keys can be read, and typed, by people.
 *
 * @throws JobUnstorableError when it is too long, or would come back as another one.
 */
export function encodeKey(text: string, what = 'job id'): string {
  const complain = (why: string): never => {
    const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
    throw new JobUnstorableError(`The ${what} ${JSON.stringify(shown)} cannot be stored in NATS: ${why}.`);
  };
  if (/^[\w-]+$/.test(text)) {
    if (text.length > MOST_BYTES) complain(`it is longer than ${MOST_BYTES} bytes`);
    return text;
  }
  if (/\p{Surrogate}/u.test(text)) complain('it has half of a surrogate pair, which is no character');
  const bytes = Buffer.from(text);
  if (bytes.length > MOST_BYTES) complain(`it is longer than ${MOST_BYTES} bytes`);
  let key = '';
  for (const byte of bytes) key += SAFE[byte]!;
  // A token must not be empty.
  return key === '' ? '=' : key;
}

/** `undefined` for what is no key of ours. */
export function decodeKey(key: string): string | undefined {
  if (!key.includes('=')) return key;
  if (key === '=') return '';
  try {
    return decodeURIComponent(key.replaceAll('=', '%'));
  } catch {
    return undefined;
  }
}

/** Whether a text can be looked up at all. */
export function isKey(text: string): boolean {
  return !/\p{Surrogate}/u.test(text) && (text.length * 3 <= MOST_BYTES || Buffer.byteLength(text) <= MOST_BYTES);
}

const SAFE = Array.from({ length: 256 }, (_, byte) => {
  const char = String.fromCharCode(byte);
  return byte < 128 && /[\w-]/.test(char) ? char : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
});
