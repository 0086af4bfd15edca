import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { freemem, loadavg, totalmem } from 'node:os';
import { join } from 'node:path';

const HEADER = 'time,load,memory_percent,disk_percent,label\n';
/** Files that were put aside and are kept. */
const KEPT = 20;

/** Samples this machine into a CSV file, and puts full files aside. Goes on where the last process left off. */
export class MachineLog {
  readonly folder: string;
  readonly #file: string;
  #rows: number;
  #rotated: number;

  constructor(folder: string) {
    this.folder = folder;
    this.#file = join(folder, 'machine.csv');
    this.#rows = existsSync(this.#file) ? readFileSync(this.#file, 'utf8').split('\n').length - 2 : 0;
    const numbers = readdirSync(folder).map((name) => Number(/^machine\.(\d+)\.csv$/.exec(name)?.[1] ?? 0));
    this.#rotated = Math.max(0, ...numbers);
  }

  /** Appends one line, and answers it in words. */
  async sample(at: Date, label: string): Promise<string> {
    const [load = 0] = loadavg();
    const memory = 100 * (1 - freemem() / totalmem());
    const { blocks, bavail } = await statfs(this.folder);
    const disk = blocks === 0 ? 0 : 100 * (1 - bavail / blocks);
    const values = [load.toFixed(2), memory.toFixed(1), disk.toFixed(1)];
    // The file is touched in one go, so that a rotation never finds it half written.
    if (this.#rows === 0) writeFileSync(this.#file, HEADER);
    appendFileSync(this.#file, `${at.toISOString()},${values.join(',')},${label}\n`);
    this.#rows += 1;
    return `load ${values[0]!}, memory ${values[1]!} %, disk ${values[2]!} %`;
  }

  /** Renames the file, so that the next sample begins a new one. */
  rotate(): string {
    const rows = this.#rows;
    if (rows <= 0) return 'nothing to rotate';
    this.#rows = 0;
    this.#rotated += 1;
    const name = `machine.${this.#rotated}.csv`;
    renameSync(this.#file, join(this.folder, name));
    rmSync(join(this.folder, `machine.${this.#rotated - KEPT}.csv`), { force: true });
    return `${rows} ${rows === 1 ? 'row' : 'rows'} put aside as ${name}`;
  }
}
