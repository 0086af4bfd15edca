import type { JsonFields } from '../json-fields.js';
import type { DstRule } from './engine.js';
import type { WallClockOptions } from './wall-clock-trigger.js';

/** The options of a stored wall-clock trigger, for its constructor to check. */
export function readWallClockOptions(fields: JsonFields): WallClockOptions {
  return {
    timezone: fields.optionalString('timezone'),
    dst: fields.optionalString('dst') as DstRule | undefined,
    startTime: fields.optionalNumber('startTime'),
    endTime: fields.optionalNumber('endTime'),
    jitter: fields.optionalNumber('jitter'),
  };
}
