import { inspectValue, PunctualError } from './base.js';

/**
 * A job would, over others, wait for itself, or fire after itself. Nothing was changed, unless another call made the rest of the
 * circle at the same moment: then the job is there, in quarantine.
 */
export class DependencyCycleError extends PunctualError {
  /** Ids of the jobs, each followed by the one it follows; the first is also the last. */
  readonly cycle: readonly string[];
  /** The job that was put into quarantine for it. `null`: nothing was changed. */
  readonly quarantined: string | null;

  constructor(cycle: readonly string[], quarantined: string | null = null) {
    const circle = cycle.map(inspectValue).join(' follows ');
    const advice = 'Take one of them out of `dependsOn`, or give it another trigger.';
    super(
      'DEPENDENCY_CYCLE',
      quarantined === null
        ? `Jobs would follow each other in a circle: ${circle}. ${advice}`
        : `Jobs came to follow each other in a circle by calls at the same moment: ${circle}. ${inspectValue(quarantined)} is in quarantine. ${advice} Then call retryQuarantined(${inspectValue(quarantined)}), or remove it.`,
    );
    this.cycle = cycle;
    this.quarantined = quarantined;
  }
}

/** A job is to follow another of which there is neither a record nor a history in its store. Nothing was changed. */
export class UnknownDependencyError extends PunctualError {
  /** The job that is to follow. */
  readonly jobId: string;
  /** What it is to follow, as it was given. */
  readonly dependency: string;

  /** @param ofRun - the job of the run that `dependency` is, where only jobs can be followed. */
  constructor(jobId: string, dependency: string, jobStore: string, ofRun?: string) {
    super(
      'UNKNOWN_DEPENDENCY',
      ofRun !== undefined
        ? `Job ${inspectValue(jobId)} is to follow ${inspectValue(dependency)}, which is the id of a run: \`after\` takes ids of jobs, such as ${inspectValue(ofRun)}. ` +
          'To wait for one run, use `dependsOn`.'
        : `Job ${inspectValue(jobId)} is to follow ${inspectValue(dependency)}, and job store ${inspectValue(jobStore)} has neither a job nor a run of that id, ` +
        'nor is there one in its history. Add that job first, to the same store, or both in one call of addJobs.',
    );
    this.jobId = jobId;
    this.dependency = dependency;
  }
}
