import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Driver, NatsConnectionLike, NatsHeaders, NatsMessage } from '../../../src/stores/nats/driver.js';
import { ApiError } from '../../../src/stores/nats/errors.js';
import { Link, type Write } from '../../../src/stores/nats/link.js';

const TIMEOUT_MS = 10_000;
const MOST_CALLS = 256;

interface Sent {
  readonly subject: string;
  readonly headers: string;
  readonly answer: (text: string) => void;
}

/** A connection that keeps what is sent, and a link on it. */
function linked(): { link: Link; clock: VirtualClock; sent: Sent[]; breaks: () => void } {
  const clock = new VirtualClock();
  const sent: Sent[] = [];
  let hear: (message: NatsMessage) => void = () => undefined;
  let tell: (status: { type: string }) => void = () => undefined;
  const connection: NatsConnectionLike = {
    publish: (subject, _data, { reply = '', headers } = {}) => {
      if (subject === 'forbidden') throw new Error('so not');
      const encoded = (headers as { encode(): Uint8Array } | undefined)?.encode() ?? new Uint8Array();
      sent.push({ subject, headers: Buffer.from(encoded).toString(), answer: (text) => { hear({ subject: reply, data: Buffer.from(text) }); } });
    },
    subscribe: (_subject, { callback }) => {
      hear = (message) => { callback(null, message); };
      return { unsubscribe: () => undefined };
    },
    async *status() {
      for (;;) yield await new Promise<{ type: string }>((resolve) => { tell = resolve; });
    },
    isClosed: () => false,
  };
  const driver: Driver = {
    connect: async () => Promise.reject(new Error('it is there')),
    headers: () => ({ encode: () => new Uint8Array() }) as unknown as NatsHeaders,
    createInbox: () => '_INBOX.test',
  };
  const link = new Link(connection, driver, clock, TIMEOUT_MS);
  onTestFinished(() => { link.close(); });
  return { link, clock, sent, breaks: () => { tell({ type: 'disconnect' }); } };
}

const stored = (sequence: number): string => `{"stream":"KV_b","seq":${sequence}}`;

function write(link: Link, subject: string, rest: Partial<Write> = {}): Promise<number> {
  return new Promise((resolve, reject) => { link.write({ subject, payload: '', headers: '', stored: resolve, failed: reject, ...rest }); });
}

describe('writes over a link', () => {
  it.each<[string, number]>([
    ['{"stream":"KV_b","seq":1}', 1],
    ['{"stream":"KV_b","seq":9007199254740991}', 9_007_199_254_740_991],
    ['{"stream":"KV_b","seq":120,"duplicate":true}', 120],
    ['{"stream":"KV_b", "domain":"hub", "seq":17}', 17],
    ['{"stream":"KV_b","domain":"4}","seq":17}', 17],
    ['{"seq":30,"stream":"a\\",\\"seq\\":4"}', 30],
  ])('are stored where the server says: %s', async (answer, sequence) => {
    const { link, sent } = linked();
    const seq = write(link, 'a');
    sent[0]!.answer(answer);
    expect(await seq).toBe(sequence);
  });

  it('are refused with the number of the problem, and one answer that is none harms no other', async () => {
    const { link, sent } = linked();
    const [refused, strange, fine] = [write(link, 'a'), write(link, 'b'), write(link, 'c')];
    for (const each of [refused, strange]) each.catch(() => undefined);
    sent[0]!.answer('{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 3"},"stream":"KV_b","seq":0}');
    sent[1]!.answer('nonsense');
    sent[2]!.answer(stored(5));
    await expect(refused).rejects.toSatisfy((error) => error instanceof ApiError && error.problem === 10_071);
    await expect(strange).rejects.toThrow(SyntaxError);
    expect(await fine).toBe(5);
  });

  it('have their headers as lines', () => {
    const { link, sent } = linked();
    void write(link, 'a', { headers: 'One: 1\r\nTwo: zwölf\r\n' }).catch(() => undefined);
    void link.store('b', '', { Three: '3' }).catch(() => undefined);
    expect(sent.map(({ headers }) => headers)).toEqual(['NATS/1.0\r\nOne: 1\r\nTwo: zwölf\r\n\r\n', 'NATS/1.0\r\nThree: 3\r\n\r\n']);
  });

  it('wait for room in their order, and one that cannot be sent makes room for the next', async () => {
    const { link, sent } = linked();
    const all = Array.from({ length: MOST_CALLS }, (_, i) => write(link, `first-${i}`));
    const refused = write(link, 'forbidden');
    const later = [write(link, 'later-0'), write(link, 'later-1')];
    expect(sent).toHaveLength(MOST_CALLS);
    sent[0]!.answer(stored(1));
    await expect(refused).rejects.toThrow('so not');
    expect(sent.slice(MOST_CALLS).map(({ subject }) => subject)).toEqual(['later-0']);
    sent[1]!.answer(stored(2));
    for (let at = 2; at < sent.length; at++) sent[at]!.answer(stored(at + 1));
    expect(await Promise.all(all)).toHaveLength(MOST_CALLS);
    expect(await Promise.all(later)).toEqual([MOST_CALLS + 1, MOST_CALLS + 2]);
  });

  it('are forgotten once they are answered, also where some wait all the time', async () => {
    const { link, sent } = linked();
    const callbacks: WeakRef<() => void>[] = [];
    const add = (): void => {
      const done = (): void => undefined;
      callbacks.push(new WeakRef(done));
      link.write({ subject: 'a', payload: '', headers: '', stored: done, failed: done });
    };
    const answered = 5 * MOST_CALLS;
    for (let i = 0; i < 2 * MOST_CALLS; i++) add();
    for (let i = 0; i < answered; i++) {
      sent[i]!.answer(stored(i + 1));
      add();
    }
    // What a reference was made to is kept until the turn is over.
    await new Promise((resolve) => { setImmediate(resolve); });
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    const kept = callbacks.slice(0, answered).filter((callback) => callback.deref() !== undefined).length;
    expect(kept).toBeLessThanOrEqual(2 * MOST_CALLS);
    expect(callbacks.slice(answered).every((callback) => callback.deref() !== undefined)).toBe(true);
  });

  it('are not sent later than they may, though they waited for room', async () => {
    const { link, clock, sent } = linked();
    for (let i = 0; i < MOST_CALLS; i++) write(link, 'first').catch(() => undefined);
    const before = clock.monotonic() + 1_000;
    const [stale, ageless] = [write(link, 'stale', { before }), write(link, 'ageless')];
    stale.catch(() => undefined);
    await clock.advance(1_001);
    for (const { answer } of sent.slice(0, 2)) answer(stored(1));
    await expect(stale).rejects.toMatchObject({ reason: 'timeout' });
    expect(sent.slice(MOST_CALLS).map(({ subject }) => subject)).toEqual(['ageless']);
    sent.at(-1)!.answer(stored(9));
    expect(await ageless).toBe(9);
  });

  it('fail when the connection breaks; those that wait do when it does not come back', async () => {
    const { link, clock, sent, breaks } = linked();
    const all = Array.from({ length: MOST_CALLS + 2 }, (_, i) => write(link, `job-${i}`));
    const outcome = Promise.allSettled(all);
    breaks();
    await clock.settle();
    await clock.advance(TIMEOUT_MS);
    for (const result of await outcome) expect(result).toMatchObject({ status: 'rejected', reason: { reason: 'unreachable' } });
    expect(sent).toHaveLength(MOST_CALLS);
  });
});
