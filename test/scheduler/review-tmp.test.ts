import { AsyncScheduler, IntervalTrigger, MemoryJobStore } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';
const START = Date.UTC(2026, 0, 1);
class SlowGets extends MemoryJobStore {
  override get(id: string): never { return Promise.resolve().then(() => super.get(id)) as never; }
  override commit(c: never): never { return Promise.resolve().then(() => super.commit(c)) as never; }
}
it('concurrent runJob on an async store: both handles settle', async () => {
  const clock = new VirtualClock(START);
  const s = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: new SlowGets() } });
  await s.addJob((x: number) => x, new IntervalTrigger({ hours: 1 }), { id: 'j', args: [0] });
  await s.start();
  const [a, b] = await Promise.all([s.runJob('j', { args: [1] }), s.runJob('j', { args: [2] })]);
  const got: unknown[] = [];
  void a.result().then((v) => got.push(v), (e) => got.push(e)); void b.result().then((v) => got.push(v), (e) => got.push(e));
  await clock.advance({ minutes: 1 });
  expect(got.sort()).toEqual([1, 2]);
  await s.shutdown();
});
it('pause during resume with two stores', async () => {
  const clock = new VirtualClock(START); let n = 0;
  const s = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: new MemoryJobStore(), other: new MemoryJobStore() } });
  await s.addJob(() => { n += 1; }, new IntervalTrigger({ seconds: 1 }), { id: 'j', jobStore: 'other' });
  await s.start({ paused: true });
  const r = s.resume(); const p = s.pause(); await r; await p;
  n = 0;
  await clock.advance({ seconds: 5 });
  expect(s.state).toBe('paused'); expect(n).toBe(0);
  await s.shutdown({wait:false});
});
it('one clockJump for one jump', async () => {
  const clock = new VirtualClock(START); let n = 0;
  const s = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: new MemoryJobStore(), other: new MemoryJobStore() } });
  s.on('clockJump', () => { n += 1; });
  await s.start();
  clock.jump(60_000); await clock.settle();
  expect(n).toBe(1);
  await s.shutdown();
});
it('adding one alias twice at once', async () => {
  const s = new AsyncScheduler({ timezone: 'UTC' });
  const r = await Promise.allSettled([s.addJobStore('x', new MemoryJobStore()), s.addJobStore('x', new MemoryJobStore())]);
  expect(r.map((x) => x.status)).toEqual(['fulfilled', 'rejected']);
  await s.shutdown();
});
it('shutdown during resume with two stores', async () => {
  const clock = new VirtualClock(START); let n = 0;
  const s = new AsyncScheduler({ clock, timezone: 'UTC', jobStores: { default: new MemoryJobStore(), other: new MemoryJobStore() } });
  await s.addJob(() => { n += 1; }, new IntervalTrigger({ seconds: 1 }), { id: 'j', jobStore: 'other' });
  await s.start({ paused: true });
  const r = s.resume(); const p = s.shutdown({wait:false}); await r; await p;
  n = 0;
  await clock.advance({ seconds: 5 });
  expect(n).toBe(0);
});
