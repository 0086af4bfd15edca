import { createAmqpWorker } from 'punctual/amqp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryLogger } from '../../scheduler/support/world.js';

describe('a worker that is closed', () => {
  beforeEach(() => { vi.useFakeTimers(); });
  afterEach(() => { vi.useRealTimers(); });

  it('is closed again, with a time or without, for nothing: no timer, and no word', async () => {
    const logger = new MemoryLogger();
    const worker = createAmqpWorker({ queue: 'q', tasks: { work: () => undefined }, logger });
    await worker.close({ timeout: 30_000 });
    await worker.close();
    await worker.close({ timeout: 0 });
    expect(vi.getTimerCount()).toBe(0);
    await expect(worker.close({ timeout: 'soon' })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(logger.lines).toEqual([]);
  });
});
