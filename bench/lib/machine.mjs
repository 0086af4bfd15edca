import { arch, cpus, loadavg, platform, totalmem } from 'node:os';

/** What the figures depend on. */
export function describeMachine() {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 1024 ** 3),
    node: process.version,
    v8: process.versions.v8,
    platform: `${platform()} ${arch()}`,
    /** Processes that wanted a core during the last minute: more than the cores, and the figures are noisy. */
    load: Math.round((loadavg()[0] ?? 0) * 10) / 10,
  };
}

/** @typedef {ReturnType<typeof describeMachine>} Machine */
