import { createNatsWorker, NatsExecutor } from 'punctual/nats-executor';
import { afterAll, onTestFinished } from 'vitest';
import { executorSuite } from '../executor-suite.js';
import * as tasks from '../fixtures/tasks.js';
import { removeBuilt } from '../support/built.js';
import { describeNats, freshStream } from './support.js';

afterAll(removeBuilt);

const { notATask: _number, HttpError: _class, ...functions } = tasks;

describeNats('over NATS, with a worker', (server) => {
  executorSuite('NatsExecutor that awaits results', {
    isNamed: true,
    make: () => {
      const stream = freshStream();
      const servers = server().url;
      const worker = createNatsWorker({ servers, stream, tasks: functions });
      onTestFinished(() => worker.close({ timeout: 0 }));
      worker.start().catch(() => undefined); // it goes on trying
      // Hours of virtual time may pass while an answer is under way for a moment of real time.
      return new NatsExecutor({ servers, stream, awaitResult: true, concurrency: 2, timeout: { hours: 10 }, publishTimeout: { hours: 10 } });
    },
  });
});
