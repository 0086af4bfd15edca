import { AmqpExecutor } from 'punctual/amqp';
import { VirtualClock } from 'punctual/testing';
import { EventEmitter } from 'node:events';
import { expect, it, onTestFinished } from 'vitest';
import { gate, MemoryLogger } from '../../scheduler/support/world.js';

const nothing = (): Promise<unknown> => Promise.resolve({});

/** A connection of a user's, whose server answers when it is let. */
class Connection extends EventEmitter {
  readonly answers = gate();

  async createConfirmChannel(): Promise<EventEmitter> {
    await this.answers.promise;
    return Object.assign(new EventEmitter(), { assertQueue: nothing, assertExchange: nothing, close: nothing });
  }
}

function open(connection: Connection) {
  const clock = new VirtualClock();
  const logger = new MemoryLogger();
  const executor = new AmqpExecutor({ connection });
  let calls = 0;
  executor.open({ clock, logger, roomMade: () => { calls += 1; } });
  onTestFinished(async () => {
    const closed = executor.close();
    await clock.advance({ minutes: 1 });
    await closed;
  });
  return { clock, logger, executor, timesReady: () => calls };
}

it('says that it is connecting as long as it has never been connected', async () => {
  const connection = new Connection();
  const { clock, executor } = open(connection);
  expect(executor.health()).toMatchObject({ ok: false, error: { name: 'BrokerError', reason: 'unreachable', message: expect.stringMatching(/connecting to RabbitMQ/) as string } });
  connection.answers.open();
  await clock.settle();
  expect(executor.health()).toEqual({ ok: true });
});

it('is not ready because an alarm of the server is over while there is no channel yet', async () => {
  const connection = new Connection();
  const { clock, logger, executor, timesReady } = open(connection);
  connection.emit('blocked', 'low on memory');
  expect(executor.health()).toMatchObject({ ok: false, error: { reason: 'blocked' } });
  connection.emit('unblocked');
  expect(timesReady()).toBe(0);
  expect(logger.messages('info')).toEqual([]);
  expect(executor.health().ok).toBe(false);
  connection.answers.open();
  await clock.settle();
  expect(timesReady()).toBe(1);
  expect(executor.health()).toEqual({ ok: true });
});

it('is not ready because there is a channel while an alarm of the server goes on', async () => {
  const connection = new Connection();
  const { clock, executor, timesReady } = open(connection);
  connection.emit('blocked', 'low on disk');
  connection.answers.open();
  await clock.settle();
  expect(timesReady()).toBe(0);
  expect(executor.free).toBe(0);
  expect(executor.health()).toMatchObject({ ok: false, error: { reason: 'blocked' } });
  connection.emit('unblocked');
  expect(timesReady()).toBe(1);
  expect(executor.health()).toEqual({ ok: true });
});
