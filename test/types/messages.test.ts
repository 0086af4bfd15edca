import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const folder = mkdtempSync(join(tmpdir(), 'punctual-messages-'));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

const BEGIN = `import { AsyncScheduler, IntervalTrigger } from 'punctual';
const trigger = new IntervalTrigger({ seconds: 10 });
const report = (kind: string, format: 'pdf' | 'html'): string => kind + format;
const tick = (): void => undefined;
const scheduler = new AsyncScheduler({ tasks: { report, tick } });
const mail = scheduler.defineTask('mail', (to: string) => to);
`;

/** A mistake, and what the compiler has to say of it. */
const MISTAKES: readonly (readonly [string, RegExp])[] = [
  ['void scheduler.addJob(tick, trigger, { wrongOption: 1 });', /'wrongOption' does not exist in type/],
  ['void scheduler.addJob("tick", trigger, { wrongOption: 1 });', /'wrongOption' does not exist in type/],
  ['void scheduler.addJob(mail, trigger, { args: ["me"], wrongOption: 1 });', /'wrongOption' does not exist in type/],
  ['void scheduler.addJob(() => 7, trigger, { maxInstance: 1 });', /'maxInstance' does not exist in type|did you mean .*maxInstances/i],
  ['void scheduler.enqueue(tick, { wrongOption: 1 });', /'wrongOption' does not exist in type/],
  ['void scheduler.addJob(tick, trigger, { overlap: "wait" });', /"wait"' is not assignable to type .*OverlapMode/],
  ['void scheduler.addJob(report, trigger);', /Expected 3 arguments, but got 2/],
  ['void scheduler.addJob(report, trigger, { id: "x" });', /'args' is missing/],
  ['void scheduler.addJob(report, trigger, { args: ["daily", "docx"] });', /"docx"' is not assignable to type '"pdf" \| "html"'/],
  ['void scheduler.addJob(mail, trigger, { args: [1] });', /Type 'number' is not assignable to type 'string'/],
  ['void scheduler.addJob("reprot", trigger);', /"reprot"' is not assignable to parameter of type .*"report"/],
];

it('name what is wrong, and not something else', { timeout: 120_000 }, () => {
  const files = MISTAKES.map(([line], index) => {
    const file = join(folder, `mistake-${index}.mts`);
    writeFileSync(file, BEGIN + line);
    return file;
  });
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) => ts.sys.readFile(path)) as { config: object };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const program = ts.createProgram(files, { ...options, noEmit: true, noUnusedLocals: false, typeRoots: [join(root, 'node_modules', '@types')] });
  for (const [index, file] of files.entries()) {
    const [line, expected] = MISTAKES[index]!;
    const messages = ts.getPreEmitDiagnostics(program, program.getSourceFile(file)).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    expect(messages, line).toHaveLength(1);
    expect(messages[0], line).toMatch(expected);
    expect(messages[0], line).not.toContain('No overload matches');
  }
});
