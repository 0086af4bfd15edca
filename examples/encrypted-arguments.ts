/**
 * How do I keep arguments from lying in the database as plain text, and how do I change the key?
 *
 * A `Serializer` turns arguments, metadata and results into text and back. This one seals the text of the default
 * serializer (so dates, maps and the like survive) with AES-256-GCM, and puts the name of the key in front of it, so that
 * what older keys have sealed stays readable for as long as they are on the ring.
 *
 * Ids, names, tags, triggers and the messages of errors are not sealed: keep secrets out of them.
 */
import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsyncScheduler, TaggedSerializer, type Serializer } from 'punctual';
import { SQLiteJobStore } from 'punctual/sqlite';
import { VirtualClock } from 'punctual/testing';

class SealingSerializer implements Serializer {
  readonly name = 'sealed';
  readonly #plain = new TaggedSerializer();
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #current: string;

  /** @param keys - 32 bytes each, by name; the first one seals, all of them open. */
  constructor(keys: Readonly<Record<string, Buffer>>) {
    this.#keys = new Map(Object.entries(keys));
    [this.#current = ''] = Object.keys(keys);
  }

  serialize(value: unknown): string {
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#current), iv);
    const sealed = Buffer.concat([cipher.update(this.#plain.serialize(value), 'utf8'), cipher.final()]);
    return `${this.#current}:${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')}`;
  }

  deserialize(data: string): unknown {
    const [key = '', text = ''] = data.split(':');
    const bytes = Buffer.from(text, 'base64');
    const opener = createDecipheriv('aes-256-gcm', this.#key(key), bytes.subarray(0, 12));
    opener.setAuthTag(bytes.subarray(12, 28)); // what was tampered with does not open
    return this.#plain.deserialize(opener.update(bytes.subarray(28), undefined, 'utf8') + opener.final('utf8'));
  }

  #key(name: string): Buffer {
    const key = this.#keys.get(name);
    if (key === undefined) throw new Error(`there is no key "${name}"`);
    return key;
  }
}

const clock = new VirtualClock('2026-01-15T00:00:00Z');
const folder = await mkdtemp(join(tmpdir(), 'punctual-sealed-'));
const open = (keys: Record<string, Buffer>): AsyncScheduler =>
  new AsyncScheduler({
    clock,
    jobStores: { default: new SQLiteJobStore(join(folder, 'jobs.db')) },
    serializer: new SealingSerializer(keys),
    tasks: {
      charge: ({ card, since }: { card: string; since: Date }) => `${card.slice(-4)} since ${since.getUTCFullYear()}`,
    },
    timezone: 'UTC',
  });
/** Looks into every file there is, the write-ahead log among them. */
async function liesInFiles(text: string): Promise<boolean> {
  const files = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name))));
  return files.some((bytes) => bytes.includes(text));
}

const card = '4111-1111-1111-1234'; // in the files this would be readable by anybody
const k2025 = randomBytes(32); // from your key management, fetched before the scheduler is made
const k2026 = randomBytes(32);

// ── With the first key ──

let scheduler = open({ k2025 });
await scheduler.start();
let job = await scheduler.addJob('charge', '@monthly', {
  id: 'charge',
  args: [{ card, since: new Date('2019-05-01') }],
});
console.log('the run answers:', await (await job.run()).result());
console.log('in the files are the card:', await liesInFiles(card), '| the id of the job:', await liesInFiles('charge'));
assert.equal(await liesInFiles(card), false);
assert.equal(await liesInFiles('k2025:'), true);
await scheduler.shutdown();

// ── A new key: it seals from now on, the old one still opens ──

scheduler = open({ k2026, k2025 });
await scheduler.start();
job = (await scheduler.getJob('charge'))!;
assert.equal((job.args[0] as { card: string }).card, card);
// Written anew, it is sealed with the new key. The history still needs the old one: its results go after a day.
await job.modify({ args: job.args });
console.log('the last result:', (await job.lastRun())?.result);
await scheduler.shutdown();

// ── Without the old key ──

scheduler = open({ k2026 });
await scheduler.start();
job = (await scheduler.getJob('charge'))!;
console.log('without the old key:', job.status, '|', await (await job.run()).result());
const [old] = await scheduler.getRuns({ jobId: 'charge' });
console.log('the result from before:', old?.result, `(${String(old?.resultOmitted)})`);
assert.equal(job.status, 'active');
await scheduler.shutdown();

// ── With a wrong key: nothing is guessed at, and nothing is lost ──

scheduler = open({ k2027: randomBytes(32) });
await clock.advance({ days: 31 }); // until it is due
const quarantined = new Promise<string>((resolve) => {
  scheduler.on('jobQuarantined', ({ reason }) => resolve(reason));
});
await scheduler.start();
console.log('with a wrong key it is in quarantine:', await quarantined);
await scheduler.shutdown();
await rm(folder, { recursive: true });
