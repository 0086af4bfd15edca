import { AsyncScheduler, currentRun, InvalidOptionError } from 'punctual';
import { EventRecorder, VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';

const START = '2026-01-01T00:00:00Z';

describe('VirtualClock', () => {
  it('fires timers in the order of their time, and of one time in the order in which they were set', async () => {
    const clock = new VirtualClock(START);
    const seen: string[] = [];
    const set = (ms: number, name: string): void => void clock.setTimer(ms, () => seen.push(`${name}@${clock.monotonic()}`));
    set(20, 'c');
    set(10, 'a');
    set(20, 'd');
    set(10, 'b');
    set(-5, 'now');
    await clock.advance(15);
    expect(seen).toEqual(['now@0', 'a@10', 'b@10']);
    await clock.advance(5);
    expect(seen.slice(3)).toEqual(['c@20', 'd@20']);
    expect(clock.now()).toBe(Date.parse(START) + 20);
  });

  it('keeps whole milliseconds whole, whatever fractions timers were set to', async () => {
    const clock = new VirtualClock(START);
    const seen: number[] = [];
    for (const at of [1 / 3, 7.1, 20.7]) {
      clock.setTimer(at, () => {
        const due = Date.parse(START) + 60;
        clock.setTimer(due - clock.now(), () => seen.push(clock.now() - due));
      });
    }
    await clock.advance(60);
    expect(seen).toEqual([0, 0, 0]);
    expect(clock.now()).toBe(Date.parse(START) + 60);
  });

  it('keeps the order among very many timers, some of which are cancelled', async () => {
    const clock = new VirtualClock(START);
    const seen: number[] = [];
    const timers = Array.from({ length: 2_000 }, (_, i) => {
      const at = (i * 7919) % 1_000;
      return { at, timer: clock.setTimer(at, () => seen.push(at)) };
    });
    for (const { at, timer } of timers) {
      if (at % 3 !== 0) continue;
      timer.cancel();
      timer.cancel();
    }
    expect(clock.pendingTimers).toBe(timers.filter(({ at }) => at % 3 !== 0).length);
    await clock.advance(1_000);
    expect(seen).toEqual(timers.map(({ at }) => at).filter((at) => at % 3 !== 0).sort((a, b) => a - b));
    expect(clock.pendingTimers).toBe(0);
  });

  it('fires what timers and promises set on the way, at its time', async () => {
    const clock = new VirtualClock(START);
    const seen: number[] = [];
    const loop = async (): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await clock.sleep({ seconds: 1 });
        seen.push(clock.monotonic());
      }
    };
    void loop();
    await clock.advance({ seconds: 10 });
    expect(seen).toEqual([1_000, 2_000, 3_000]);
  });

  it('jumps on the wall alone, and says so', async () => {
    const clock = new VirtualClock(START);
    let told = 0;
    const stop = clock.onJump(() => { told += 1; });
    clock.jump(-3_600_000);
    expect([clock.now(), clock.monotonic(), told]).toEqual([Date.parse(START) - 3_600_000, 0, 1]);
    stop();
    clock.jump(1);
    expect(told).toBe(1);
    await clock.advanceTo(START);
    expect(clock.monotonic()).toBe(3_599_999);
  });

  it('refuses to go back, and to be advanced twice at a time', async () => {
    const clock = new VirtualClock(START);
    await expect(clock.advanceTo('2025-12-31T00:00:00Z')).rejects.toThrow(InvalidOptionError);
    await expect(clock.advance(-1)).rejects.toThrow(InvalidOptionError);
    const first = clock.advance(10);
    await expect(clock.advance(10)).rejects.toThrow(/one call at a time/);
    await first;
    await clock.advance(10);
    expect(clock.monotonic()).toBe(20);
  });

  it('ends a sleep with the signal’s reason', async () => {
    const clock = new VirtualClock(START);
    const controller = new AbortController();
    const sleep = clock.sleep(1_000, controller.signal);
    controller.abort(new Error('enough'));
    await expect(sleep).rejects.toThrow('enough');
    await expect(clock.sleep(1_000, controller.signal)).rejects.toThrow('enough');
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets a year of a schedule pass at once', async () => {
    const clock = new VirtualClock(START);
    const scheduler = new AsyncScheduler({ clock, timezone: 'Europe/Berlin' });
    const seen: string[] = [];
    await scheduler.addJob(
      () => { seen.push(currentRun().scheduledFor.toISOString()); },
      '0 9 * * 1',
      { id: 'mondays' },
    );
    await scheduler.start();
    await clock.advanceTo('2027-01-01T00:00:00Z');
    expect(seen).toHaveLength(52);
    expect(seen.slice(12, 14)).toEqual(['2026-03-30T07:00:00.000Z', '2026-04-06T07:00:00.000Z']);
    expect(new Set(seen.map((at) => at.slice(11)))).toEqual(new Set(['08:00:00.000Z', '07:00:00.000Z']));
    await scheduler.shutdown();
    expect(clock.pendingTimers).toBe(0);
  });
});

describe('EventRecorder', () => {
  it('collects events, and writes them as lines', async () => {
    const clock = new VirtualClock(START);
    const scheduler = new AsyncScheduler({ clock, timezone: 'UTC', node: 'test' });
    const recorder = new EventRecorder(scheduler);
    let failures = 1;
    const report = (): string => {
      if (failures-- > 0) throw new Error('no paper');
      return 'done';
    };
    await scheduler.addJob(report, new Date(Date.parse(START) + 1_000), { id: 'report', retry: { maxAttempts: 2, delay: 500 } });
    await scheduler.start();
    await clock.advance(2_000);
    expect(recorder.of('jobRetry')).toMatchObject([{ attempt: 1, retryAt: Date.parse(START) + 1_500 }]);
    expect(recorder.toString().split('\n')).toEqual([
      '2026-01-01T00:00:00.000Z jobAdded report nextRunTime=2026-01-01T00:00:01.000Z replaced=false',
      '2026-01-01T00:00:00.000Z schedulerStarted',
      '2026-01-01T00:00:01.000Z jobSubmitted report scheduledFor=2026-01-01T00:00:01.000Z attempt=1 latenessMs=0',
      '2026-01-01T00:00:01.000Z jobStarted report scheduledFor=2026-01-01T00:00:01.000Z attempt=1',
      '2026-01-01T00:00:01.000Z jobRetry report retryAt=2026-01-01T00:00:01.500Z error="no paper" scheduledFor=2026-01-01T00:00:01.000Z attempt=1',
      '2026-01-01T00:00:01.500Z jobSubmitted report scheduledFor=2026-01-01T00:00:01.000Z attempt=2 latenessMs=500',
      '2026-01-01T00:00:01.500Z jobStarted report scheduledFor=2026-01-01T00:00:01.000Z attempt=2',
      '2026-01-01T00:00:01.500Z jobExecuted report scheduledFor=2026-01-01T00:00:01.000Z attempt=2 result="done"',
      '2026-01-01T00:00:01.500Z jobCompleted report reason="exhausted" runCount=1',
      '2026-01-01T00:00:01.500Z jobRemoved report reason="completed"',
    ]);
    recorder.clear();
    recorder.stop();
    await scheduler.shutdown();
    expect(recorder.events).toEqual([]);
  });
});
