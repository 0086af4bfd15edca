import type { JobRecord } from '../model/job.js';
import type { RunningRun } from '../model/run.js';
import type { JobPage } from '../ports/job-store.js';
import type { StoreLoop } from './store-loop.js';

/** A run that a node has. */
export interface NodeRun {
  readonly jobId: string;
  readonly task: string;
  readonly executor: string;
  readonly runId: string;
  readonly scheduledFor: Date;
  readonly startedAt: Date;
  readonly attempt: number;
  /** When others may take it over. `null` where none will: in a store that dies with its process, and of a job that each node runs. */
  readonly leaseUntil: Date | null;
}

/** What a node runs: the first hundred, and how many there are. */
export interface NodeRuns {
  readonly running: readonly NodeRun[];
  readonly runningCount: number;
}

const PAGE = 500;
const MOST_RUNS = 100;

/** From the records: they are the truth, and cost no more than there are runs. */
export async function runsByNode(loops: readonly StoreLoop[]): Promise<Map<string, NodeRuns>> {
  const byNode = new Map<string, NodeRuns>();
  for (const { access } of loops) {
    let page: JobPage | undefined;
    do {
      page = await access.list({ running: true, limit: PAGE, after: page?.nextCursor ?? undefined });
      for (const { record } of page.jobs) {
        for (const run of record.state.runs) if (run.state === 'running') addRuns(byNode, run.owner, { running: [toRun(record, run)], runningCount: 1 });
      }
    } while (page.nextCursor !== null);
  }
  return byNode;
}

/** More runs of a node. */
export function addRuns(byNode: Map<string, NodeRuns>, node: string, { running, runningCount }: NodeRuns): void {
  const known = byNode.get(node) ?? { running: [], runningCount: 0 };
  const shown = known.running.length < MOST_RUNS ? [...known.running, ...running].slice(0, MOST_RUNS) : known.running;
  byNode.set(node, { running: shown, runningCount: known.runningCount + runningCount });
}

function toRun({ id, definition }: JobRecord, run: RunningRun): NodeRun {
  return {
    jobId: id,
    task: definition.task,
    executor: definition.policy.executor,
    runId: run.id,
    scheduledFor: new Date(run.scheduledFor),
    startedAt: new Date(run.startedAt),
    attempt: run.attempt,
    leaseUntil: run.leaseUntil === null ? null : new Date(run.leaseUntil),
  };
}
