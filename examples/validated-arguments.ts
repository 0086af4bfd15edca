/**
 * How do I make sure that arguments are what the task expects, also those that were stored by an older release?
 *
 * `defineTask` takes a schema of the arguments, from any library with Standard Schema: `z.tuple([...])` of Zod,
 * `v.tuple([...])` of Valibot, `type([...])` of ArkType. Here one is written by hand, so that nothing has to be installed.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsyncScheduler, isPunctualError, type StandardSchemaV1 } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';

const folder = await mkdtemp(join(tmpdir(), 'punctual-schema-'));
const open = (): AsyncScheduler =>
  new AsyncScheduler({ jobStores: { default: new SQLiteJobStore(join(folder, 'jobs.db')) }, timezone: 'UTC' });

// ── The first release: an address, and no schema ──

let scheduler = open();
const first = scheduler.defineTask('invite', (address: string) => `invited ${address}`);
await scheduler.addJob(first, '0 9 * * *', { id: 'ada', args: ['ada@example.com'] });
await scheduler.addJob(first, '0 9 * * *', { id: 'typo', args: ['grace example.com'] });
await scheduler.shutdown();

// ── The second: an object, with a date, checked ──

// z.tuple([z.object({ to: z.email(), day: z.coerce.date() })])
const invitation: StandardSchemaV1<[{ to: string; day: string }], [{ to: string; day: Date }]> = {
  '~standard': {
    version: 1,
    vendor: 'by hand',
    validate: (args) => {
      const [value] = args as [{ to?: unknown; day?: unknown } | undefined];
      const day = new Date(String(value?.day));
      const issues = [
        ...(String(value?.to).includes('@') ? [] : [{ message: 'no address', path: [0, 'to'] }]),
        ...(Number.isNaN(day.getTime()) ? [{ message: 'no date', path: [0, 'day'] }] : []),
      ];
      return issues.length > 0 ? { issues } : { value: [{ to: String(value?.to), day }] };
    },
  },
};
scheduler = open();
const invite = scheduler.defineTask('invite', ({ to, day }) => `invited ${to} for ${day.toISOString().slice(0, 10)}`, {
  args: invitation,
  version: 2,
  upgrades: { 1: ([address]) => [{ to: address, day: '2026-05-01' }] }, // what jobs of version 1 have is brought up
});
await scheduler.start();

// Wrong arguments are refused before anything is stored: by the compiler where it can, and when the job is added.
const wrong = { id: 'wrong', args: [{ to: 'nobody', day: 'soon' }] } as const;
const refused: unknown = await scheduler
  .addJob(invite, '@daily', { ...wrong, args: [...wrong.args] })
  .catch((error: unknown) => error);
assert.ok(isPunctualError(refused, 'INVALID_ARGUMENTS'));
console.log('refused:    ', refused.message);
// @ts-expect-error -- `day` is missing.
await assert.rejects(scheduler.addJob(invite, '@daily', { id: 'wrong', args: [{ to: 'x@example.com' }] }));

// What the first release has stored is brought up, checked, and passed on as the schema makes it.
console.log('brought up: ', await (await scheduler.runJob('ada')).result());

// What does not pass puts its job into quarantine, with the reason. Mended, it goes on.
scheduler.on('jobError', ({ jobId, error }) => console.log(`${jobId} failed: `, error.message));
scheduler.on('jobQuarantined', ({ jobId }) => console.log(`${jobId} is in quarantine`));
await assert.rejects((await scheduler.runJob('typo')).result());
assert.equal((await scheduler.getJob('typo'))?.status, 'quarantined');
await scheduler.modifyJob('typo', { args: [{ to: 'grace@example.com', day: '2026-05-02' }] });
await scheduler.retryQuarantined('typo');
console.log('mended:     ', await (await scheduler.runJob('typo')).result());
await scheduler.shutdown();
await rm(folder, { recursive: true });
