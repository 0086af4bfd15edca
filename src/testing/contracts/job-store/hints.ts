import { SystemClock } from '../../../clocks/system-clock.js';

/** For a hint: a server takes milliseconds, and seconds on a machine that has much else to do. No virtual clock has these. */
const HINT_MS = 15_000;
/** Turns of the event loop that most hints come in. After that others have the processor, too. */
const QUICK_TURNS = 1_000;

/** Whether it is so, at once or once a hint has come. */
export async function comesTrue(holds: () => boolean): Promise<boolean> {
  const clock = new SystemClock();
  const end = clock.monotonic() + HINT_MS;
  for (let turn = 0; !holds() && clock.monotonic() < end; turn++) {
    await new Promise<void>((resolve) => {
      if (turn < QUICK_TURNS) setImmediate(resolve);
      else clock.setTimer(1, resolve);
    });
  }
  return holds();
}
