import { JobUnstorableError } from '../../errors/job-errors.js';

/** What an index takes: a page of it holds at least three entries. */
const MOST_BYTES = 1_000;

/** Text that a column can hold: PostgreSQL knows neither the character 0 nor half of a surrogate pair. */
export function storable(text: string): string {
  return /[\0\p{Surrogate}]/u.test(text) ? text.replace(/[\0\p{Surrogate}]/gu, '\ufffd') : text;
}

/** @throws JobUnstorableError where a text that is looked up by would come back as another one, or is too long. */
export function requireKey(text: string, what: string): void {
  const complain = (why: string): never => {
    const shown = text.length > 80 ? `${text.slice(0, 77)}...` : text;
    throw new JobUnstorableError(`The ${what} ${JSON.stringify(shown)} cannot be stored in PostgreSQL: ${why}.`);
  };
  if (text.includes('\0')) complain('it has the character 0, which PostgreSQL does not keep');
  if (/\p{Surrogate}/u.test(text)) complain('it has half of a surrogate pair, which is no character');
  if (text.length * 3 > MOST_BYTES && Buffer.byteLength(text) > MOST_BYTES) complain(`it is longer than ${MOST_BYTES} bytes, which an index does not take`);
}
