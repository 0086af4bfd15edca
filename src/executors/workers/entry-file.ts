import { existsSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * Path of the file that workers start with. It is told from the place of this one: beside it in the sources, and in the
 * built package, where this code may have become part of a chunk at the top, in a place of its own.
 *
 * @throws Error where the package was bundled into something else.
 */
export function entryFile(): string {
  // One of the two is there: this file is built both as CommonJS and as an ES module.
  const here = typeof __filename === 'string' ? __filename : fileURLToPath(import.meta.url);
  const ending = extname(here) === '.ts' ? 'ts' : 'js';
  const places = [join(dirname(here), `entry.${ending}`), join(dirname(here), 'executors', 'workers', `entry.${ending}`)];
  const found = places.find((place) => existsSync(place));
  if (found !== undefined) return found;
  throw new Error(
    `The file that workers start with is not beside ${here}. If your program is bundled, leave \`punctual\` out of the bundle (external).`,
  );
}
