import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { NICKNAMES } from '../../src/triggers/cron/nicknames.js';
import { TriggerRegistry } from '../../src/triggers/registry.js';
import { dstTable } from './support/dst-table.js';

const docs = readFileSync(new URL('../../docs/triggers.md', import.meta.url), 'utf8');

test('docs/triggers.md shows what daylight saving really does', () => {
  const lines = docs
    .split('\n')
    .filter((line) => /^\| (zone|--- \| --- \| --- \| --- \| --- \| ---|[A-Z]\w+\/)/.test(line));
  expect(lines).toEqual(dstTable());
});

test('docs/triggers.md names every nickname and every kind of trigger', () => {
  for (const nickname of NICKNAMES.keys()) expect(docs).toContain(`\`${nickname}\``);
  for (const kind of new TriggerRegistry().kinds) expect(docs).toContain(`\`${kind}\``);
});
