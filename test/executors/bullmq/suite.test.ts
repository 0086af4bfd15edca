import { BullMQExecutor, createBullMQWorker } from 'punctual/bullmq';
import { afterAll, onTestFinished } from 'vitest';
import { executorSuite } from '../executor-suite.js';
import * as tasks from '../fixtures/tasks.js';
import { removeBuilt } from '../support/built.js';
import { connectionTo, describeBull, freshQueue } from './support.js';

afterAll(removeBuilt);

const { notATask: _number, HttpError: _class, ...functions } = tasks;

describeBull('over BullMQ, with a worker', (server) => {
  executorSuite('BullMQExecutor that awaits results', {
    isNamed: true,
    make: () => {
      const queue = freshQueue();
      const connection = connectionTo(server());
      const worker = createBullMQWorker({ connection, queue, tasks: functions });
      onTestFinished(() => worker.close({ timeout: 0 }));
      worker.start().catch(() => undefined); // it goes on trying
      // Hours of virtual time may pass while an answer is under way for a moment of real time.
      return new BullMQExecutor({ connection, queue, awaitResult: true, concurrency: 2, timeout: { hours: 10 }, publishTimeout: { hours: 10 } });
    },
  });
});
