import { BrokerError, InvalidOptionError, InvalidStateError, type Serializer } from 'punctual';
import { AmqpExecutor, createAmqpWorker, type AmqpExecutorOptions, type AmqpWorkerOptions } from 'punctual/amqp';
import { describe, expect, it } from 'vitest';
import { readExecutorSettings } from '../../../src/executors/amqp/options.js';
import { driverError } from '../../../src/executors/remote/driver-error.js';
import { failure } from '../../scheduler/support/world.js';

const tasks = { a: () => 1 };

describe('AmqpExecutor refuses', () => {
  it.each([
    [{ url: 'http://host' }, 'url'],
    [{ url: 'host' }, 'url'],
    [{ url: 5 }, 'url'],
    [{ queue: '' }, 'queue'],
    [{ queue: 'amq.mine' }, 'queue'],
    [{ queue: 'x'.repeat(181) }, 'queue'],
    [{ exchange: 7 }, 'exchange'],
    [{ routingKey: 7 }, 'routingKey'],
    [{ queueArguments: 7 }, 'queueArguments'],
    [{ declare: 'no' }, 'declare'],
    [{ socketOptions: 7 }, 'socketOptions'],
    [{ socketOptions: { recovery: true } }, 'socketOptions.recovery'],
    [{ connection: {} }, 'connection'],
    [{ connection: 7 }, 'connection'],
    [{ connection: { createConfirmChannel() {}, on() {}, removeListener() {} }, url: 'amqp://a' }, 'url'],
    [{ awaitResult: 1 }, 'awaitResult'],
    [{ concurrency: 0 }, 'concurrency'],
    [{ concurrency: 70_000 }, 'concurrency'],
    [{ publishTimeout: 0 }, 'publishTimeout'],
    [{ cancelTimeout: -1 }, 'cancelTimeout'],
    [{ timeout: 'soon' }, 'timeout'],
    [{ timeout: { days: 2 } }, 'timeout'],
    [{ serializer: {} }, 'serializer'],
    [{ prefetch: 4 }, 'prefetch'],
  ])('the options %o', async (options, option) => {
    const error = await failure(() => new AmqpExecutor(options as unknown as AmqpExecutorOptions));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
  });

  it('a URL without showing its password', async () => {
    expect((await failure(() => new AmqpExecutor('rabbit://user:secret@host'))).message).not.toContain('secret');
  });
});

describe('createAmqpWorker refuses', () => {
  it.each([
    [{}, 'tasks'],
    [{ tasks: {} }, 'tasks'],
    [{ tasks: [] }, 'tasks'],
    [{ tasks: { a: 1 } }, 'tasks.a'],
    [{ tasks, concurrency: 1.5 }, 'concurrency'],
    [{ tasks, maxRedeliveries: -1 }, 'maxRedeliveries'],
    [{ tasks, killAfter: 'x' }, 'killAfter'],
    [{ tasks, timeout: { days: 2 } }, 'timeout'],
    [{ tasks, logger: {} }, 'logger'],
    [{ tasks, onRunEnd: 1 }, 'onRunEnd'],
    [{ tasks, deadLetterQueue: 'punctual' }, 'deadLetterQueue'],
    [{ tasks, deadLetterQueue: '' }, 'deadLetterQueue'],
    [{ tasks, awaitResult: true }, 'awaitResult'],
  ])('the options %o', async (options, option) => {
    const error = await failure(() => createAmqpWorker(options as unknown as AmqpWorkerOptions));
    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error).toMatchObject({ option });
  });
});

describe('the parts for RabbitMQ', () => {
  it('notice a dead connection soon, unless they are told otherwise', () => {
    const urlOf = (url: string): unknown => {
      const { source } = readExecutorSettings(url);
      return 'url' in source ? source.url : undefined;
    };
    expect(urlOf('amqp://host/vhost')).toBe('amqp://host/vhost?heartbeat=10');
    expect(urlOf('amqps://u:p@host?heartbeat=60')).toBe('amqps://u:p@host?heartbeat=60');
  });

  it('are closed, or not open yet, and say so', async () => {
    const executor = new AmqpExecutor();
    expect(executor.free).toBe(0);
    expect(executor.capacity).toBe(256);
    expect(await failure(executor.ready())).toBeInstanceOf(InvalidStateError);
    await executor.close();
    const worker = createAmqpWorker({ tasks });
    expect(worker.isReady).toBe(false);
    await worker.close();
    await worker.close();
    expect(await failure(worker.start())).toMatchObject({ reason: 'closed' });
  });

  it('say what to install', () => {
    const missing = Object.assign(new Error('no'), { code: 'ERR_MODULE_NOT_FOUND' });
    expect(driverError('RabbitMQ', 'amqplib', missing)).toBeInstanceOf(BrokerError);
    expect(driverError('RabbitMQ', 'amqplib', missing)).toMatchObject({ reason: 'no-driver', message: expect.stringContaining('is not installed. Install it: npm install amqplib') as string });
    expect(driverError('RabbitMQ', 'amqplib', new Error('broken')).message).toContain('cannot be loaded: broken');
  });

  it('take a serializer of one’s own', () => {
    const serializer: Serializer = { name: 'json', serialize: (value) => JSON.stringify(value), deserialize: (text) => JSON.parse(text) as unknown };
    expect(new AmqpExecutor({ serializer }).isRemote).toBe(true);
  });
});
