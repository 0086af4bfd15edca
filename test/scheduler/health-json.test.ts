import { runInNewContext } from 'node:vm';
import { BrokerError, InvalidOptionError, JobNotFoundError, type Executor, type ExecutorHealth } from 'punctual';
import { expect, it } from 'vitest';
import { makeWorld } from './support/world.js';

const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

async function printed(health: () => ExecutorHealth): Promise<unknown> {
  const printer: Executor = { free: 1, execute: () => undefined, health };
  const { scheduler } = makeWorld({ executors: { printer } });
  await scheduler.start();
  return (asJson(scheduler.health()) as { executors: Record<string, unknown> }).executors['printer'];
}

it('an error of punctual as JSON has its name, code, message and fields', () => {
  const error = new InvalidOptionError('wait', 'yes', 'true or false');
  expect(asJson(error)).toEqual({ name: 'InvalidOptionError', code: 'INVALID_OPTION', message: error.message, option: 'wait', value: 'yes', allowed: 'true or false' });
  const missing = new JobNotFoundError('report');
  expect(asJson({ missing })).toMatchObject({ missing: { name: 'JobNotFoundError', code: 'JOB_NOT_FOUND', message: missing.message } });
});

it('health as JSON says why an executor cannot work', async () => {
  const error = new BrokerError('unreachable', 'no connection', { cause: new Error('inside') });
  expect(await printed(() => ({ ok: false, error }))).toEqual({ ok: false, error: { name: 'BrokerError', code: 'BROKER_FAILED', message: 'no connection', reason: 'unreachable' } });
});

it('health as JSON has the message of any other error', async () => {
  const error = Object.assign(new TypeError('no printer'), { code: 'EPRINT', socket: 1n });
  expect(await printed(() => ({ ok: false, error }))).toEqual({ ok: false, error: { name: 'TypeError', code: 'EPRINT', message: 'no printer' } });
  expect(await printed(() => { throw error; })).toEqual({ ok: false, error: { name: 'TypeError', code: 'EPRINT', message: 'no printer' } });
  const foreign: unknown = runInNewContext("new RangeError('elsewhere')");
  expect(await printed(() => ({ ok: false, error: foreign }))).toEqual({ ok: false, error: { name: 'RangeError', code: null, message: 'elsewhere' } });
});

it('health as JSON leaves an error alone that makes its own, and what is no error', async () => {
  const error = Object.assign(new Error('long'), { toJSON: () => 'short' });
  expect(await printed(() => ({ ok: false, error }))).toEqual({ ok: false, error: 'short' });
  expect(await printed(() => ({ ok: false, error: 'off' }))).toEqual({ ok: false, error: 'off' });
  expect(await printed(() => ({ ok: true }))).toEqual({ ok: true });
});
