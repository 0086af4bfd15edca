import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AsyncScheduler, MemoryJobStore } from 'punctual';
import { VirtualClock } from 'punctual/testing';
import { test } from 'vitest';
import { connect, quiet, START } from './support.js';

interface Step {
  /** Indexes of earlier steps. */
  readonly on: readonly number[];
  readonly policy: 'cancel' | 'run';
  readonly fails: boolean;
  /** Seconds until it is due, and that it takes. */
  readonly delay: number;
  readonly takes: number;
}

const steps = fc
  .array(fc.record({ on: fc.array(fc.nat(), { maxLength: 3 }), policy: fc.constantFrom('cancel' as const, 'cancel' as const, 'run' as const), fails: fc.boolean(), delay: fc.nat(4), takes: fc.nat(3) }), { minLength: 2, maxLength: 8 })
  .map((list) => list.map((step, index): Step => ({ ...step, fails: step.fails && index % 2 === 0, on: index === 0 ? [] : [...new Set(step.on.map((n) => n % index))] })));

/** What each step has to come to. */
function expected(graph: readonly Step[]): string[] {
  const verdicts: string[] = [];
  for (const { on, policy, fails } of graph) {
    const isMet = policy === 'run' || on.every((index) => verdicts[index] === 'succeeded');
    verdicts.push(isMet ? (fails ? 'failed' : 'succeeded') : 'cancelled');
  }
  return verdicts;
}

test('any graph of work comes to what its steps say, whichever write a node dies with', { timeout: 600_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(40), fc.boolean(), fc.boolean(), fc.boolean(), async (graph, write, isWritten, asBatch, isAlone) => {
      const clock = new VirtualClock(START);
      const server = new MemoryJobStore({ shared: true });
      const make = (name: string, death?: { write: number; isWritten: boolean }, died?: () => void): { scheduler: AsyncScheduler; isDead: () => boolean } => {
        const { store, isDead } = connect(server, death, died);
        const scheduler = new AsyncScheduler({ clock, node: name, jobStores: { default: store }, leaseDuration: 3_000, maxSleep: 5_000, storeTimeout: 1_000, logger: quiet });
        scheduler.defineTask('step', async (fails: boolean, takes: number) => {
          if (takes > 0) await clock.sleep({ seconds: takes });
          if (fails) throw new Error('as it should');
        });
        return { scheduler, isDead };
      };
      let isOver = false;
      const victim = make('victim', { write, isWritten }, () => { isOver = true; });
      const other = make('other');
      await victim.scheduler.start();
      if (!isAlone) await other.scheduler.start();

      const options = graph.map(({ on, policy, fails, takes }, index) => ({
        id: `s${index}`, args: [fails, takes], ...(on.length === 0 ? {} : { dependsOn: on.map((n) => `s${n}`), onDependencyFailure: policy }),
      }));
      const at = (index: number): Date => new Date(Date.parse(START) + (graph[index]?.delay ?? 0) * 1_000);
      if (asBatch) {
        await other.scheduler.addJobs(options.map((job, index) => ({ ...job, task: 'step', trigger: at(index) })).reverse());
      } else {
        for (const [index, job] of options.entries()) {
          const run = await other.scheduler.enqueue('step', { ...job, at: at(index) });
          run.result().catch(() => undefined);
          if (index % 3 === 2) await clock.advance(700);
        }
      }
      for (let second = 0; second < 120; second++) {
        await clock.advance(1_000);
        if (isAlone && isOver) await other.scheduler.start();
      }
      if (isAlone) await other.scheduler.start();
      await clock.advance({ seconds: 90 });

      const { entries } = await server.ledger.list({ limit: 1_000 });
      const verdicts = options.map(({ id }) => entries.filter(({ jobId }) => jobId === id).map(({ verdict }) => verdict).join());
      assert.deepEqual(verdicts, expected(graph));
      assert.deepEqual(server.list({ limit: 100 }).jobs.map(({ record }) => record.id), [], 'nothing is left behind');
      assert.ok((await other.scheduler.verifyLedger()).ok);
      await other.scheduler.shutdown({ wait: false });
      if (!victim.isDead()) await victim.scheduler.shutdown({ wait: false });
    }),
    { numRuns: 60, seed: 28, endOnFailure: false },
  );
});
