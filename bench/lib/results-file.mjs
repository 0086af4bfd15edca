import { readFile, writeFile } from 'node:fs/promises';
import { asMarkdown } from './table.mjs';

const FILE = new URL('../RESULTS.md', import.meta.url);

/**
 * Puts new figures between the marks of each section. What stands outside of the marks is written by hand and stays.
 *
 * @param {readonly { measurement: import('./measurement.mjs').Measurement, report: import('./measurement.mjs').Report }[]} results
 * @param {import('./machine.mjs').Machine} machine
 * @param {string} date
 */
export async function writeResults(results, machine, date) {
  let text = await readFile(FILE, 'utf8');
  for (const { measurement, report } of results) {
    const { cpu, cores, memoryGb, node, platform, load } = machine;
    const rounds = measurement.rounds === 1 ? 'one round' : `medians of ${measurement.rounds} rounds`;
    const where = `${date}, ${cpu}, ${cores} cores, ${memoryGb} GB, ${platform}, Node ${node}, load ${load}; ${rounds}.`;
    text = replaceSection(text, measurement, `${asMarkdown(measurement, report)}\n\n${where}`);
  }
  await writeFile(FILE, text);
}

/**
 * @param {string} text
 * @param {import('./measurement.mjs').Measurement} measurement
 * @param {string} content
 */
function replaceSection(text, { id, title }, content) {
  const begin = `<!-- figures: ${id} -->`;
  const end = `<!-- end: ${id} -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) return `${text.trimEnd()}\n\n## ${title}\n\n${begin}\n\n${content}\n\n${end}\n`;
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}
