import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Stops a process where it is. The signal is heeded a moment after it was sent, and by each thread for itself: until all of
 * them stand still, an answer may still come. (Where there is no /proc, that moment is not waited for.) Answers how to let it
 * go on.
 */
export function freeze(child: ChildProcess | undefined): () => void {
  child?.kill('SIGSTOP');
  for (let looks = 0; looks < 100_000 && child?.pid !== undefined && isMoving(child.pid); looks++);
  return () => { child?.kill('SIGCONT'); };
}

function isMoving(pid: number): boolean {
  try {
    // The state comes after the name, which is in parentheses.
    return readdirSync(`/proc/${pid}/task`).some((task) => !/\) [TtZX] /.test(readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8')));
  } catch {
    return false;
  }
}
