import type { JobDefinition } from '../../model/job.js';
import type { ClaimScope } from '../../ports/job-store.js';
import type { Reply } from './driver.js';

/** What a node must have to serve the jobs of a lane, and how urgent they are. */
interface Lane {
  readonly name: string;
  readonly priority: number;
  readonly taskVersion: number;
  readonly executor: string;
  readonly task: string;
}

/** The same for jobs that the same nodes can serve, and that are equally urgent. */
export function laneOf({ task, taskVersion, policy: { executor, priority } }: JobDefinition): string {
  return `${priority} ${taskVersion} ${executor.length} ${executor}${task}`;
}

export function readLane(name: string): Lane {
  const [priority = '', taskVersion = '', length = ''] = name.split(' ', 3);
  const rest = name.slice(priority.length + taskVersion.length + length.length + 3);
  return { name, priority: Number(priority), taskVersion: Number(taskVersion), executor: rest.slice(0, Number(length)), task: rest.slice(Number(length)) };
}

/**
 * The lanes there are, as this process last heard. A call says which state of them it knows; when there is another, the
 * answer brings that, and the call is made again. So what nobody here can serve costs a claim nothing.
 */
export class Lanes {
  epoch = '';
  #lanes: readonly Lane[] = [];

  /** Lanes this node can serve, the most urgent first. */
  servable({ executors, tasks }: ClaimScope): readonly Lane[] {
    return this.#lanes.filter(({ executor, task, taskVersion }) => (executors.get(executor) ?? 0) > 0 && (tasks.get(task) ?? 0) >= taskVersion);
  }

  /** Takes in an answer that the lanes have changed. Answers whether it was one. */
  take(answer: readonly Reply[]): boolean {
    const [isUpToDate, epoch, names] = answer;
    if (Number(isUpToDate) === 1) return false;
    this.#lanes = (names as string[]).map(readLane).sort((a, b) => b.priority - a.priority);
    this.epoch = String(epoch);
    return true;
  }
}
