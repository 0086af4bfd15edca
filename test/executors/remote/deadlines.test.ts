import { VirtualClock } from 'punctual/testing';
import { describe, expect, it } from 'vitest';
import { Deadlines } from '../../../src/executors/remote/deadlines.js';

function makeDeadlines(onLate: (item: string, deadlines: Deadlines<string>) => void = () => undefined) {
  const clock = new VirtualClock();
  const start = clock.monotonic();
  const late: string[] = [];
  const deadlines: Deadlines<string> = new Deadlines<string>(clock, 100, (item) => {
    late.push(`${item} ${clock.monotonic() - start}`);
    onLate(item, deadlines);
  });
  return { clock, deadlines, late };
}

describe('deadlines of one length', () => {
  it('pass one by one, each at its time', async () => {
    const { clock, deadlines, late } = makeDeadlines();
    deadlines.add('a');
    deadlines.add('b');
    await clock.advance(30);
    deadlines.add('c');
    await clock.advance(69);
    expect(late).toEqual([]);
    await clock.advance(1_000);
    expect(late).toEqual(['a 100', 'b 100', 'c 130']);
  });

  it('do not pass for what is over, which is over once', async () => {
    const { clock, deadlines, late } = makeDeadlines();
    deadlines.add('a');
    await clock.advance(50);
    deadlines.add('b');
    expect(deadlines.delete('a')).toBe(true);
    expect(deadlines.delete('a')).toBe(false);
    await clock.advance(1_000);
    expect(late).toEqual(['b 150']);
    expect(deadlines.delete('b')).toBe(false);
  });

  it('leave no timer behind when nothing is waited for', async () => {
    const { clock, deadlines, late } = makeDeadlines();
    deadlines.add('a');
    deadlines.delete('a');
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(60);
    deadlines.add('b');
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(100);
    expect(late).toEqual(['b 160']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('hold for what is added or is over while one passes', async () => {
    const { clock, deadlines, late } = makeDeadlines((item, all) => {
      if (item === 'a') all.add('again');
      if (item === 'a') all.delete('b');
    });
    deadlines.add('a');
    deadlines.add('b');
    await clock.advance(10);
    deadlines.add('c');
    await clock.advance(1_000);
    expect(late).toEqual(['a 100', 'c 110', 'again 200']);
    expect(clock.pendingTimers).toBe(0);
  });
});
