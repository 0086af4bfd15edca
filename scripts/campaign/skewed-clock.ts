import { SystemClock } from '../../src/index.js';

/** The clocks of a machine whose wall clock is wrong, and may be set while it runs. The monotonic one is right. */
export class SkewedClock extends SystemClock {
  /** Ms by which it is ahead. */
  skewMs: number;

  constructor(skewMs: number) {
    super();
    this.skewMs = skewMs;
  }

  override now(): number {
    return super.now() + this.skewMs;
  }
}
