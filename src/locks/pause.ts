import type { Clock } from '../ports/clock.js';

/** Resolves after `ms`, or when one of the hooks calls. */
export function pause(clock: Clock, ms: number, ...hooks: readonly ((wake: () => void) => () => void)[]): Promise<void> {
  return new Promise((resolve) => {
    const unhook: (() => void)[] = [];
    const wake = (): void => {
      timer.cancel();
      for (const stop of unhook) stop();
      resolve();
    };
    const timer = clock.setTimer(ms, wake);
    unhook.push(...hooks.map((hook) => hook(wake)));
  });
}
