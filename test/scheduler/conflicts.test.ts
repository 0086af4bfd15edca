import { AsyncScheduler, IntervalTrigger, type JobChange, type TimerHandle } from 'punctual';
import { JsonJobStore, VirtualClock } from 'punctual/testing';
import { expect, it, onTestFinished } from 'vitest';
import { HOUR, MINUTE, SECOND, START } from './support/world.js';

/** Lets nobody write what became of a run, as if others always came first. */
class Contended extends JsonJobStore {
  isContended = true;
  override async commit(changes: readonly JobChange[]): ReturnType<JsonJobStore['commit']> {
    const isLost = this.isContended && changes.some(({ ledger }) => ledger.length > 0);
    return isLost ? changes.map(() => undefined) : super.commit(changes);
  }
}

class Listening extends VirtualClock {
  readonly delays: number[] = [];
  override setTimer(delayMs: number, callback: () => void): TimerHandle {
    this.delays.push(delayMs);
    return super.setTimer(delayMs, callback);
  }
}

/** Its pauses between attempts to write what became of a run. */
async function pausesOf(node: string): Promise<readonly number[]> {
  const store = new Contended();
  const clock = new Listening(START);
  const scheduler = new AsyncScheduler({ clock, node, timezone: 'UTC', jobStores: { default: store }, leaseDuration: MINUTE });
  onTestFinished(() => scheduler.shutdown());
  scheduler.defineTask('work', () => undefined);
  await scheduler.addJob('work', new IntervalTrigger({ hours: 1 }), { id: 'job' });
  await scheduler.start();
  await clock.advance(HOUR - 1);
  clock.delays.length = 0;
  await clock.advance(2 * SECOND);
  const pauses = clock.delays.filter((ms) => ms > 50 && ms <= 250);
  store.isContended = false;
  await clock.advance(2 * SECOND);
  expect(await scheduler.getRuns({ jobId: 'job' })).toMatchObject([{ verdict: 'succeeded' }]);
  return pauses;
}

it('nodes that keep meeting in one record do not wait alike, nor longer than results may', async () => {
  const [a, b, again] = [await pausesOf('a'), await pausesOf('b'), await pausesOf('a')];
  expect(a.length).toBeGreaterThan(4);
  expect(b.length).toBeGreaterThan(4);
  expect(again).toEqual(a);
  expect(a.slice(0, 4)).not.toEqual(b.slice(0, 4));
  for (const ms of [...a, ...b]) expect(ms).toBeGreaterThanOrEqual(125);
});
