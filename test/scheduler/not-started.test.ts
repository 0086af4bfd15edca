import { AsyncScheduler, IntervalTrigger, MemoryJobStore, type TimerHandle } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { HOUR, makeWorld, MINUTE, SECOND, START_MS } from './support/world.js';

const DUE = 'a job is due, and this scheduler has not been started: it runs nothing before start()';
const AWAITED = 'the result of a run is waited for, and this scheduler has not been started: it runs nothing before start()';

describe('a scheduler that was never started', () => {
  it('says so once, some seconds after the first of its jobs is due', async () => {
    const { clock, scheduler, logger } = makeWorld();
    await scheduler.addJob(() => undefined, new IntervalTrigger({ hours: 1 }));
    await scheduler.addJob(() => undefined, new IntervalTrigger({ minutes: 1 }));
    await clock.advance(MINUTE + 5 * SECOND);
    expect(logger.lines).toEqual([]);
    await clock.advance(5 * SECOND);
    expect(logger.lines).toEqual([{ level: 'warn', message: DUE, fields: { dueAt: new Date(START_MS + MINUTE) } }]);
    await scheduler.addJob(() => undefined, new IntervalTrigger({ minutes: 1 }));
    await clock.advance(5 * HOUR);
    expect(logger.lines).toHaveLength(1);
    expect(scheduler.health()).toMatchObject({ ok: false, state: 'stopped' });
  });

  it('says nothing when it is started soon, was started once, or its jobs are gone, paused or for later', async () => {
    const soon = makeWorld();
    await soon.scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 1 }));
    await soon.clock.advance(10 * SECOND);
    await soon.scheduler.start();
    await soon.scheduler.shutdown();
    await soon.scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 1 }));
    await soon.clock.advance(HOUR);
    expect(soon.logger.messages('warn')).toEqual([]);

    const { clock, scheduler, logger } = makeWorld();
    await scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 1 }), { id: 'gone' });
    await scheduler.removeJob('gone');
    await scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 1 }), { paused: true });
    await scheduler.addJob(() => undefined, new Date(START_MS + HOUR));
    await clock.advance(HOUR);
    expect(logger.lines).toEqual([]);
    await clock.advance(MINUTE);
    expect(logger.messages('warn')).toEqual([DUE]);
  });

  it('says nothing where another scheduler may run the jobs', async () => {
    const { clock, scheduler, logger } = makeWorld({ jobStores: { default: new MemoryJobStore({ shared: true }) } });
    scheduler.defineTask('work', () => undefined);
    await scheduler.addJob('work', new IntervalTrigger({ seconds: 1 }), { id: 'a' });
    const run = await scheduler.enqueue('work');
    const result = run.result().catch((error: unknown) => error);
    await clock.advance(HOUR);
    expect(logger.lines).toEqual([]);
    await scheduler.shutdown();
    expect(await result).toMatchObject({ code: 'SCHEDULER_SHUTDOWN' });
  });

  it('says at once that a result is waited for in vain', async () => {
    const { clock, scheduler, logger } = makeWorld();
    const work = scheduler.defineTask('work', () => 5);
    const run = await scheduler.enqueue(work);
    const result = run.result();
    await clock.advance(0);
    expect(logger.lines).toMatchObject([{ level: 'warn', message: AWAITED }]);
    await clock.advance(HOUR);
    expect(logger.lines).toHaveLength(1);
    await scheduler.start();
    await clock.advance(0);
    expect(await result).toBe(5);
  });

  it('does not say it to who starts it right away', async () => {
    const { clock, scheduler, logger } = makeWorld();
    const work = scheduler.defineTask('work', () => 5);
    const run = await scheduler.enqueue(work);
    const result = run.result();
    await scheduler.start();
    await clock.advance(0);
    expect(await result).toBe(5);
    expect(await run.result()).toBe(5);
    expect(logger.lines).toEqual([]);
  });

  it('plans nothing that keeps the process running', async () => {
    const kept: boolean[] = [];
    class Watching extends VirtualClock {
      override setTimer(delayMs: number, callback: () => void, keepAlive = true): TimerHandle {
        kept.push(keepAlive);
        return super.setTimer(delayMs, callback);
      }
    }
    const scheduler = new AsyncScheduler({ clock: new Watching() });
    await scheduler.addJob(() => undefined, new IntervalTrigger({ seconds: 1 }));
    expect(kept).toEqual([false]);
    await scheduler.shutdown();
  });
});
