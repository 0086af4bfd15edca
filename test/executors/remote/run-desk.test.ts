import { VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import type { Delivery } from '../../../src/executors/remote/delivery.js';
import { workerLimits } from '../../../src/executors/remote/options.js';
import { RunDesk } from '../../../src/executors/remote/run-desk.js';
import { Wire } from '../../../src/executors/remote/wire.js';
import { Serializers } from '../../../src/serializers/serializers.js';
import { gate, MemoryLogger } from '../../scheduler/support/world.js';

const wire = new Wire();
const serializers = new Serializers();
const policy = { timeoutMs: null, retry: null, onCrash: 'retry', maxCrashes: 3, priority: 0 };

/** A desk for one run at a time, whose task ends when it is told to. */
function makeDesk() {
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const settled: string[] = [];
  const limits = workerLimits({
    concurrency: 1,
    logger: new MemoryLogger(),
    tasks: {
      work: (name: string) => {
        began.push(name);
        const end = gate();
        ends.set(name, () => { end.open(); });
        return end.promise;
      },
    },
  });
  const clock = new VirtualClock();
  const desk = new RunDesk(limits, clock);
  const deliver = (name: string, { task = 'work', ...more }: Partial<Delivery> & { readonly task?: string } = {}): void => {
    const tell = (what: string) => (): Promise<void> => {
      settled.push(`${name} ${what}`);
      return Promise.resolve();
    };
    desk.receive({
      body: JSON.stringify({ v: 1, id: name, runId: name, jobId: 'job', task, scheduledFor: 0, startedAt: 0, attempt: 1, args: serializers.write([name]), policy }),
      redeliveries: 0,
      reply: () => Promise.resolve(),
      done: tell('done'),
      again: tell('again'),
      giveBack: tell('given back'),
      bury: (reason) => tell(reason)(),
      ...(more.recount === undefined ? more : { ...more, recount: tell('recounted') }),
    });
  };
  const cancel = (name: string): void => { desk.cancel(wire.cancellation({ id: name, reason: new Error('no more') })); };
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await clock.settle();
  };
  return { desk, clock, began, settled, deliver, cancel, end };
}

describe('messages that wait for room at a desk', () => {
  it('begin one after another, in order', async () => {
    const { clock, began, settled, deliver, end } = makeDesk();
    for (const name of ['a', 'b', 'c']) deliver(name);
    await clock.settle();
    expect(began).toEqual(['a']);
    await end('a');
    await end('b');
    await end('c');
    expect(began).toEqual(['a', 'b', 'c']);
    expect(settled).toEqual(['a done', 'b done', 'c done']);
  });

  it.each<[string, Parameters<ReturnType<typeof makeDesk>['deliver']>[1], string]>([
    ['called off', {}, 'failed'],
    ['given up', { redeliveries: 99 }, 'crashed'],
    ['of no task that is known here', { task: 'other' }, 'unknown-task'],
    ['counted by being put back', { redeliveries: 1, recount: () => Promise.resolve() }, 'recounted'],
  ])('do not wait behind one that takes no room: it is %s', async (why, more, fate) => {
    const { desk, clock, began, settled, deliver, cancel, end } = makeDesk();
    deliver('running');
    deliver('first', more);
    deliver('second');
    deliver('third');
    await clock.settle();
    if (why === 'called off') cancel('first');
    await end('running');
    expect(began).toEqual(['running', 'second']);
    // One at a time, all the same.
    expect(desk.running).toBe(1);
    await end('second');
    await end('third');
    expect(began).toEqual(['running', 'second', 'third']);
    expect(settled).toHaveLength(4);
    expect(settled).toContain(`first ${fate}`);
    await desk.drained();
  });

  it('do not wait behind one that is the same as what begins', async () => {
    const { clock, began, settled, deliver, end } = makeDesk();
    for (const name of ['running', 'twin', 'twin', 'twin', 'last']) deliver(name);
    await clock.settle();
    await end('running');
    expect(began).toEqual(['running', 'twin']);
    await end('twin');
    expect(began).toEqual(['running', 'twin', 'last']);
    await end('last');
    expect(settled.filter((line) => line === 'twin done')).toHaveLength(3);
  });
});
