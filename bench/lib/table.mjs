/** @typedef {import('./measurement.mjs').Measurement} Measurement */
/** @typedef {import('./measurement.mjs').Report} Report */

/**
 * For a terminal: columns under one another.
 *
 * @param {Measurement} measurement
 * @param {Report} report
 */
export function asText({ title }, { head, rows, checks }) {
  const lines = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => plain(line[column] ?? '').length)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return isNumber(rows, column) ? plain(cell).padStart(width) : plain(cell).padEnd(width);
      })
      .join('  '),
  );
  const verdicts = checks.map(
    ({ target, figure, met }) => `${met === null ? '–     ' : met ? 'met   ' : 'MISSED'}  ${plain(target)}: ${figure}`,
  );
  return ['', title, ...table, ...verdicts].join('\n');
}

/**
 * For RESULTS.md.
 *
 * @param {Measurement} measurement
 * @param {Report} report
 */
export function asMarkdown({ method }, { head, rows, checks }) {
  /** @param {readonly string[]} cells */
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const alignment = head.map((_, column) => (isNumber(rows, column) ? '---:' : '---'));
  return [
    line(head),
    line(alignment),
    ...rows.map(line),
    '',
    line(['target', 'measured', '']),
    line(['---', '---', '---']),
    ...checks.map(({ target, figure, met }) => line([target, figure, verdict(met)])),
    '',
    ...method.map((sentence) => `- ${sentence}`),
  ].join('\n');
}

/** @param {boolean | null} met */
function verdict(met) {
  if (met === null) return 'not measured';
  return met ? 'met' : '**missed**';
}

/** @param {string} cell */
function plain(cell) {
  return cell.replaceAll('`', '');
}

/**
 * @param {Report['rows']} rows
 * @param {number} column
 */
function isNumber(rows, column) {
  return rows.every((row) => /^[-–\d]/.test(row[column] ?? '') && !/[a-z]{2}/i.test(row[column] ?? ''));
}
