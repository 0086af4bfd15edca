import { AmqpExecutor, createAmqpWorker } from 'punctual/amqp';
import { afterAll, onTestFinished } from 'vitest';
import { executorSuite } from '../executor-suite.js';
import * as tasks from '../fixtures/tasks.js';
import { removeBuilt } from '../support/built.js';
import { describeRabbit, freshQueue } from './support.js';

afterAll(removeBuilt);

const { notATask: _number, HttpError: _class, ...functions } = tasks;

describeRabbit('over RabbitMQ, with a worker', (server) => {
  executorSuite('AmqpExecutor that awaits results', {
    isNamed: true,
    make: () => {
      const queue = freshQueue();
      const worker = createAmqpWorker({ url: server().url, queue, tasks: functions });
      onTestFinished(() => worker.close({ timeout: 0 }));
      worker.start().catch(() => undefined); // it goes on trying
      // Hours of virtual time may pass while an answer is under way for a moment of real time.
      return new AmqpExecutor({ url: server().url, queue, awaitResult: true, concurrency: 2, timeout: { hours: 10 }, publishTimeout: { hours: 10 } });
    },
  });
});
