/** Prints totals by engine as a table in Markdown: a row for each name, a column for each engine. */
export function printTable(results: ReadonlyMap<string, ReadonlyMap<string, number>>): void {
  const names = new Set([...results.values()].flatMap((totals) => [...totals.keys()]));
  const rows = [['', ...results.keys()]];
  for (const name of names) rows.push([name, ...[...results.values()].map((totals) => (totals.get(name) ?? 0).toLocaleString('en-US'))]);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const print = (cells: readonly string[]): void => {
    console.log(`| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`);
  };
  print(rows[0]!);
  print(widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)));
  for (const row of rows.slice(1)) print(row);
}
