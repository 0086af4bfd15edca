import { refuseUnknownKeys } from '../errors/options.js';
import type { RunningRun } from '../model/run.js';
import type { JobRecord } from '../model/job.js';
import type { JobPage, Member } from '../ports/job-store.js';
import type { NodeRole } from './leadership.js';
import { readCard, type ClockSkew, type ExecutorRoom, type NodeCard } from './node-card.js';
import { SchedulerBase } from './scheduler-base.js';
import type { StoreAccess } from './store-access.js';
import type { StoreLoop } from './store-loop.js';

/** One node of a job store. */
export interface NodeInfo {
  readonly jobStore: string;
  readonly node: string;
  /** It is the scheduler that was asked. */
  readonly isSelf: boolean;
  /** `unheard`: nothing was heard of it for some time, and runs are still its own; they are taken over as their leases end. */
  readonly state: 'running' | 'paused' | 'stopping' | 'unheard';
  /**
   * What it does for the store, as of its last heartbeat: who leads at this moment `leader()` tells. `null` where the node does
   * not tell; so are the next four.
   */
  readonly role: NodeRole | null;
  readonly host: string | null;
  readonly pid: number | null;
  readonly startedAt: Date | null;
  readonly lastHeartbeat: Date | null;
  /** Version of each task it has defined: the first some thousand, where they are very many. */
  readonly tasks: Readonly<Record<string, number>>;
  readonly taskCount: number;
  /** Room in its executors, as of its last heartbeat. */
  readonly executors: Readonly<Record<string, ExecutorRoom>>;
  /** How far its clock is from the clock of the store; `null` where the store has none of its own. */
  readonly clockSkew: ClockSkew | null;
  /** What it runs now: the first hundred. */
  readonly running: readonly NodeRun[];
  readonly runningCount: number;
}

/** A run that a node has. */
export interface NodeRun {
  readonly jobId: string;
  readonly task: string;
  readonly executor: string;
  readonly runId: string;
  readonly scheduledFor: Date;
  readonly startedAt: Date;
  readonly attempt: number;
  /** When others may take it over. `null` in a store that dies with its process. */
  readonly leaseUntil: Date | null;
}

const PAGE = 500;
const MOST_RUNS = 100;

/** Looks at the nodes that share the job stores. */
export abstract class NodeFace extends SchedulerBase {
  /**
   * The nodes of each job store, and what they run: those that started and have not stopped. One that died is there until
   * two and a half of its heartbeats are missing (75 s by default), and then as `unheard` for as long as runs are its own.
   * Of jobs that each node runs (`exclusive: false`), those of this node are shown. In a store that is this scheduler's alone, and in one that cannot tell, it is this node alone and those that run something.
   *
   * @param query - `jobStore`: of that store only.
   * @throws UnknownStoreError, StoreFailedError
   * @example
   * ```ts
   * for (const { node, state, host, running } of await scheduler.getNodes()) console.log(node, state, host, running.length);
   * ```
   */
  async getNodes(query: { readonly jobStore?: string | undefined } = {}): Promise<NodeInfo[]> {
    refuseUnknownKeys(query, '', ['jobStore']);
    const loops = query.jobStore === undefined ? [...this.directory.loops] : [this.directory.require(query.jobStore)];
    return (await Promise.all(loops.map(async (loop) => this.#nodesOf(loop)))).flat();
  }

  async #nodesOf(loop: StoreLoop): Promise<NodeInfo[]> {
    await loop.open(this.context());
    const members = new Map<string, Member | undefined>((await loop.membership.members()).map((member) => [member.node, member]));
    const runs = await runsByNode(loop.all);
    if (this.lifecycle.state !== 'stopped' && !members.has(this.node)) members.set(this.node, undefined);
    for (const node of runs.keys()) if (!members.has(node)) members.set(node, undefined);
    return [...members].sort(([a], [b]) => (a < b ? -1 : 1)).map(([node, member]) => {
      const isSelf = node === this.node && this.lifecycle.state !== 'stopped';
      const card = isSelf ? loop.membership.card() : member && readCard(member.about);
      const state = card?.state ?? (member === undefined ? 'unheard' : 'running');
      return { jobStore: loop.access.alias, node, isSelf, state, ...told(card, member), ...(runs.get(node) ?? { running: [], runningCount: 0 }) };
    });
  }
}

type Told = Pick<NodeInfo, 'role' | 'host' | 'pid' | 'startedAt' | 'lastHeartbeat' | 'tasks' | 'taskCount' | 'executors' | 'clockSkew'>;

function told(card: NodeCard | undefined, member: Member | undefined): Told {
  return {
    role: card?.role ?? null,
    host: card?.host ?? null,
    pid: card?.pid ?? null,
    startedAt: card === undefined ? null : new Date(card.startedAt),
    lastHeartbeat: member === undefined ? null : new Date(member.seenAt),
    tasks: Object.fromEntries(card?.tasks ?? []),
    taskCount: card?.taskCount ?? 0,
    executors: Object.fromEntries(card?.executors ?? []),
    clockSkew: card?.clockSkew ?? null,
  };
}

interface Runs {
  readonly running: NodeRun[];
  runningCount: number;
}

/** From the records: they are the truth, and cost no more than there are runs. */
async function runsByNode(loops: readonly StoreLoop[]): Promise<Map<string, Runs>> {
  const byNode = new Map<string, Runs>();
  for (const { access } of loops) await addRuns(byNode, access);
  return byNode;
}

async function addRuns(byNode: Map<string, Runs>, access: StoreAccess): Promise<void> {
  let page: JobPage | undefined;
  do {
    page = await access.list({ running: true, limit: PAGE, after: page?.nextCursor ?? undefined });
    for (const { record } of page.jobs) {
      for (const run of record.state.runs) {
        if (run.state !== 'running') continue;
        const runs = byNode.get(run.owner) ?? { running: [], runningCount: 0 };
        byNode.set(run.owner, runs);
        runs.runningCount += 1;
        if (runs.running.length < MOST_RUNS) runs.running.push(toRun(record, run));
      }
    }
  } while (page.nextCursor !== null);
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
