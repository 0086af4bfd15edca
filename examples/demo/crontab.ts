import { readFile } from 'node:fs/promises';

/** One line of the crontab, with the comment above it. */
export interface CrontabEntry {
  readonly expression: string;
  /** The repository, the file and the line it was read from. */
  readonly source: string;
}

/** Reads a file of expressions, one a line, each under a comment that says where it comes from. */
export async function readCrontab(file: URL): Promise<CrontabEntry[]> {
  const entries: CrontabEntry[] = [];
  let source = '';
  for (const line of (await readFile(file, 'utf8')).split('\n')) {
    if (line.startsWith('#')) source = line.slice(1).trim();
    else if (line.trim() !== '') entries.push({ expression: line, source });
  }
  return entries;
}
