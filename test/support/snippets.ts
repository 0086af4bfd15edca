import { spawn } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The TypeScript of one section of a document, and the output its comments promise. */
export interface Snippet {
  /** The document and the heading under which it stands. */
  readonly title: string;
  readonly code: string;
  /** The text after each `// →`. */
  readonly output: readonly string[];
}

/** The fenced `ts` blocks of a document. Those under one heading make one program. */
export function readSnippets(name: string, markdown: string): Snippet[] {
  const snippets: Snippet[] = [];
  let heading = '';
  let lines: string[] = [];
  let inBlock = false;
  let fence = '';
  const close = (): void => {
    const code = lines.join('\n');
    const output = lines.flatMap((line) => /^\/\/ → ?(.*)$/.exec(line)?.[1] ?? []);
    if (lines.length > 0) snippets.push({ title: `${name}: ${heading}`, code, output });
    lines = [];
  };
  for (const line of markdown.split('\n')) {
    const opening = /^\s*(```+)(\w*)/.exec(line);
    if (fence === '' && opening !== null) {
      fence = opening[1]!;
      inBlock = opening[2] === 'ts';
    } else if (fence !== '' && line.trim() === fence) {
      fence = '';
      inBlock = false;
    } else if (inBlock) {
      lines.push(line);
    } else if (fence === '' && /^#{1,6} /.test(line)) {
      close();
      heading = line.replace(/^#+ /, '');
    }
  }
  close();
  return snippets;
}

/**
 * What the compiler has to say against the snippets, under the options of this repository.
 *
 * @param given - options in their place, as in a tsconfig.json. Where `punctual` is found stays as it is.
 */
export function typeErrors(snippets: readonly Snippet[], given?: Readonly<Record<string, unknown>>): string[] {
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, 'tsconfig.json'),
    { noUnusedLocals: false, noUnusedParameters: false },
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => undefined },
  );
  if (config === undefined) throw new Error('tsconfig.json cannot be read');
  if (given !== undefined) {
    const { options, errors } = ts.convertCompilerOptionsFromJson(given, root);
    if (errors.length > 0) return errors.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    const { paths = {}, pathsBasePath } = config.options;
    config.options = { ...options, paths, pathsBasePath, noEmit: true };
  }
  const files = new Map(snippets.map(({ code }, i) => [join(root, 'test', `snippet-${i}.ts`), code]));
  const host = ts.createCompilerHost(config.options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (file) => files.has(file) || fileExists.call(host, file);
  host.readFile = (file) => files.get(file) ?? readFile.call(host, file);
  host.getSourceFile = (file, language, ...rest) => {
    const code = files.get(file);
    return code === undefined
      ? getSourceFile.call(host, file, language, ...rest)
      : ts.createSourceFile(file, code, language);
  };
  const program = ts.createProgram([...files.keys()], config.options, host);
  return [...files.keys()].flatMap((file, i) => {
    const source = program.getSourceFile(file);
    return ts.getPreEmitDiagnostics(program, source).map(({ messageText, start }) => {
      const line =
        source === undefined || start === undefined ? 0 : source.getLineAndCharacterOfPosition(start).line + 1;
      return `${snippets[i]!.title}, line ${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    });
  });
}

/**
 * Runs a snippet in a process of its own, against the sources, and answers what is wrong with it: an exit code, or
 * another output than it promises. One that listens for signals is sent SIGINT once its output
 * is there.
 */
export async function runSnippet(snippet: Snippet, limitMs = 30_000): Promise<string | null> {
  const folder = await mkdtemp(join(tmpdir(), 'punctual-snippet-'));
  try {
    const file = join(folder, 'snippet.mts');
    await writeFile(file, snippet.code);
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules')); // for what a reader has installed
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), file], {
      cwd: folder, // where it may leave files
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    const seen = (): string[] => stdout.split('\n').slice(0, -1);
    let grace: NodeJS.Timeout | undefined;
    const listens = /\bsignals: true\b|SIGINT/.test(snippet.code);
    child.stdout.on('data', (data: Buffer) => {
      stdout += data.toString();
      if (!listens || seen().length < snippet.output.length) return;
      grace ??= setTimeout(() => child.kill('SIGINT'), 500); // more than it promises may still come
    });
    child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
    const limit = setTimeout(() => child.kill('SIGKILL'), limitMs);
    const ending = await new Promise<string>((resolve) => {
      child.on('close', (code, signal) => {
        resolve(signal ?? `exit code ${code ?? 0}`);
      });
    });
    clearTimeout(limit);
    clearTimeout(grace);
    if (ending !== 'exit code 0' && !(listens && ending === 'SIGINT')) return `${snippet.title}: ended with ${ending}\n${stdout}${stderr}`;
    const expected = snippet.output.join('\n');
    const actual = seen().join('\n');
    return actual === expected ? null : `${snippet.title}: promised\n${expected}\nbut printed\n${actual}\n${stderr}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
