import { InvalidOptionError } from 'punctual';
import { createNatsWorker, NatsExecutor, type NatsExecutorOptions, type NatsWorkerOptions } from 'punctual/nats-executor';
import { describe, expect, it } from 'vitest';
import { readAck } from '../../../src/executors/nats/acks.js';
import { Names } from '../../../src/executors/nats/streams.js';
import { readExecutorSettings } from '../../../src/executors/nats/options.js';
import { failure } from '../../scheduler/support/world.js';

const tasks = { a: () => 1 };

describe('NatsExecutor and createNatsWorker refuse', () => {
  it.each([
    [{ servers: 'http://host' }, 'servers'],
    [{ servers: [] }, 'servers'],
    [{ connection: {} }, 'connection'],
    [{ connection: { publish() {}, subscribe() {}, status() {}, isClosed() {}, flush() {} }, user: 'me' }, 'user'],
    [{ user: 7 }, 'user'],
    [{ password: 'secret' }, 'user'],
    [{ password: 'secret', user: '' }, 'user'],
    [{ stream: 'a.b' }, 'stream'],
    [{ replicas: 6 }, 'replicas'],
    [{ declare: 1 }, 'declare'],
    [{ timeout: -1 }, 'timeout'],
    [{ queue: 'x' }, 'queue'],
  ])('the options %o', async (options, option) => {
    for (const make of [() => new NatsExecutor(options as unknown as NatsExecutorOptions), () => createNatsWorker({ ...options, tasks } as unknown as NatsWorkerOptions)]) {
      const error = await failure(make);
      expect(error).toBeInstanceOf(InvalidOptionError);
      expect(error).toMatchObject({ option });
    }
  });

  it('a time to answer that is too short', async () => {
    expect(await failure(() => createNatsWorker({ tasks, ackWait: 10 }))).toMatchObject({ option: 'ackWait' });
    expect(await failure(() => createNatsWorker({ tasks: {} }))).toMatchObject({ option: 'tasks' });
  });
});

describe('the parts for NATS', () => {
  it('take a login of empty texts, as of variables that are not set, for none', () => {
    const config = (options: NatsExecutorOptions): object => {
      const { source } = readExecutorSettings(options);
      return 'config' in source ? source.config : {};
    };
    for (const options of [{ password: '' }, { user: '', password: '' }, { user: '' }]) {
      expect(config(options)).toEqual(config({}));
    }
    expect(config({ user: 'me', password: '' })).toMatchObject({ user: 'me', pass: '' });
    expect(config({ user: 'me', password: 'secret' })).toMatchObject({ user: 'me', pass: 'secret' });
  });

  it('make a subject of any name of a task', () => {
    const names = new Names(readExecutorSettings({ stream: 's' }));
    expect(['mail', 'reports.daily', 'a b', '.', 'a..b', '*', '>', 'ä', '😀'].map((task) => names.run(task))).toEqual(
      ['mail', 'reports.daily', 'a=20b', '=2e', 'a=2e=2eb', '=2a', '=3e', '=e4', '=1f600'].map((token) => `s.run.${token}`),
    );
  });

  it('read what the server says of a message, in its old form and its new', () => {
    expect(readAck('$JS.ACK.stream.consumer.3.70.5.1700000000000000000.0')).toEqual({ delivered: 3, streamSequence: 70, consumerSequence: 5 });
    expect(readAck('$JS.ACK.domain.account.stream.consumer.3.70.5.1700000000000000000.0')).toEqual({ delivered: 3, streamSequence: 70, consumerSequence: 5 });
    expect(readAck('$JS.ACK.domain.account.stream.consumer.3.70.5.1700000000000000000.0.x1')).toEqual({ delivered: 3, streamSequence: 70, consumerSequence: 5 });
    expect(readAck('_INBOX.x')).toBeUndefined();
    expect(readAck(undefined)).toBeUndefined();
  });
});
