/** The job of a run, by the run's id; `undefined` for what is no such id. */
export function jobIdOf(runId: unknown): string | undefined {
  return typeof runId === 'string' ? /^(.+)[@#]-?\d+$/s.exec(runId)?.[1] : undefined;
}
