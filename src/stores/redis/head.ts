/**
 * What the server keeps of a job beside its record: revision, revision of the definition, status and whether some node runs
 * it, wake-up (`-` for none), lane.
 */
export interface Head {
  readonly revision: string;
  readonly definition: string;
  readonly status: string;
  readonly running: string;
  readonly wake: string;
  readonly lane: string;
}

/** @param head - a text, as `parse` of the scripts takes it apart. */
export function partsOf(head: string): Head {
  const first = head.indexOf(' ');
  const second = head.indexOf(' ', first + 1);
  const third = head.indexOf(' ', second + 4);
  return {
    revision: head.slice(0, first),
    definition: head.slice(first + 1, second),
    status: head[second + 1] ?? '',
    running: head[second + 2] ?? '',
    wake: head.slice(second + 4, third),
    lane: head.slice(third + 1),
  };
}
