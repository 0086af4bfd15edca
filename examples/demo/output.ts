const coloured =
  process.env['NO_COLOR'] === undefined && (process.stdout.isTTY || process.env['FORCE_COLOR'] !== undefined);

const style =
  (code: number) =>
  (text: string): string =>
    coloured ? `\u001b[${code}m${text}\u001b[0m` : text;

export const bold = style(1);
export const dim = style(2);
export const red = style(31);
export const green = style(32);
export const yellow = style(33);
export const cyan = style(36);

export function print(text = ''): void {
  process.stdout.write(`${text}\n`);
}

export function heading(text: string): void {
  print(`\n${bold(text)}`);
}

/** Prints rows in columns under dimmed titles; numbers are aligned right. */
export function table(titles: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const widths = titles.map((title, i) => Math.max(title.length, ...rows.map((row) => String(row[i] ?? '').length)));
  const isNumber = titles.map((_, i) => typeof rows[0]?.[i] === 'number');
  const line = (cells: readonly (string | number)[]): string =>
    cells
      .map((cell, i) => (isNumber[i] === true ? String(cell).padStart(widths[i]!) : String(cell).padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  print(dim(`  ${line(titles)}`));
  for (const row of rows) print(`  ${line(row)}`);
}
