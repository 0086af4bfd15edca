import { DependencyCycleError } from '../../errors/dependency-errors.js';
import type { JobRecord } from '../../model/job.js';

/** Records looked at for one job, before it is taken to be in no circle. */
const MOST_RECORDS = 100_000;

/** Ids of the jobs that a record follows. */
export function sourcesOf({ definition, state }: JobRecord): readonly string[] {
  if (state.status === 'removed') return [];
  const { follows } = definition.trigger;
  const waits = state.links?.waits?.map(({ source }) => source) ?? [];
  return follows === undefined ? waits : [...follows.jobs, ...waits];
}

/**
 * @param starts - jobs about to be written.
 * @param read - the record of a job as it will be: that of a job about to be written in the place of the one there is.
 * @throws DependencyCycleError when one of them would follow itself, over whichever others.
 */
export async function refuseCycles(starts: readonly JobRecord[], read: (id: string) => Promise<JobRecord | undefined>): Promise<void> {
  /** Jobs from which no circle was found. */
  const cleared = new Set<string>();
  for (const start of starts) {
    const path: { readonly id: string; readonly left: string[] }[] = [{ id: start.id, left: [...sourcesOf(start)] }];
    const onPath = new Set([start.id]);
    let looked = 0;
    for (let top = path.at(-1); top !== undefined; top = path.at(-1)) {
      const id = top.left.pop();
      if (id === undefined) {
        path.pop();
        onPath.delete(top.id);
        cleared.add(top.id);
        continue;
      }
      if (onPath.has(id)) {
        const from = path.findIndex((step) => step.id === id);
        throw new DependencyCycleError([...path.slice(from).map((step) => step.id), id]);
      }
      if (cleared.has(id) || (looked += 1) > MOST_RECORDS) continue;
      const record = await read(id);
      if (record === undefined) continue;
      onPath.add(id);
      path.push({ id, left: [...sourcesOf(record)] });
    }
  }
}
