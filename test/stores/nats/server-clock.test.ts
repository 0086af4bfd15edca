import { VirtualClock } from 'punctual/testing';
import { expect, it } from 'vitest';
import type { Link } from '../../../src/stores/nats/link.js';
import { ServerClock } from '../../../src/stores/nats/server-clock.js';
import type { Names } from '../../../src/stores/nats/streams.js';

/** A server with a clock of its own, some way off. */
class FarServer {
  readonly clock: VirtualClock;
  readonly told: ServerClock;
  aheadMs: number;
  wayThereMs = 0;
  wayBackMs = 0;
  #stampedAt = 0;

  constructor(aheadMs: number) {
    this.clock = new VirtualClock('2026-01-01T00:00:00Z');
    this.aheadMs = aheadMs;
    const link = {
      onBack: () => () => undefined,
      store: async () => {
        await this.clock.sleep(this.wayThereMs);
        this.#stampedAt = this.now();
        await this.clock.sleep(this.wayBackMs);
      },
      api: () => Promise.resolve({ message: { subject: 'clock', seq: 1, time: new Date(this.#stampedAt).toISOString() } }),
    };
    this.told = new ServerClock(link as unknown as Link, this.clock, { leaseSubject: 'leases.', leases: 'leases' } as Names);
  }

  now(): number {
    return this.clock.now() + this.aheadMs;
  }

  /** By how much the clock is behind the server's, after it was asked. */
  async behind(): Promise<number> {
    const asking = this.told.now();
    await this.clock.advance(this.wayThereMs + this.wayBackMs);
    await asking;
    return this.now() - (await this.told.now());
  }
}

it.each([[0, 40], [20, 20], [40, 0]])('is never ahead of the server, %i ms away and %i ms back', async (there, back) => {
  const server = new FarServer(5_000);
  Object.assign(server, { wayThereMs: there, wayBackMs: back });
  const behind = await server.behind();
  expect(behind).toBeGreaterThanOrEqual(0);
  expect(behind).toBeLessThanOrEqual(40);
});

it.each([3_600_000, -3_600_000])('follows a server whose clock is set by %i ms, with the next comparison', async (byMs) => {
  const server = new FarServer(0);
  server.wayBackMs = 3;
  expect(await server.behind()).toBeLessThanOrEqual(3);
  server.aheadMs += byMs;
  await server.clock.advance(61_000);
  expect(Math.abs(await server.behind())).toBeLessThanOrEqual(3);
});
