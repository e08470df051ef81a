/** One measured row: numbers by column name, in the units of the column. */
export type Row = Readonly<Record<string, string | number>>;

/** Plain text with aligned columns; numbers to three significant digits. */
export function formatTable(title: string, rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const cell = (value: string | number | undefined): string =>
    typeof value === 'number' ? (Number.isInteger(value) ? String(value) : value.toPrecision(3)) : (value ?? '');
  const widths = columns.map((name) => Math.max(name.length, ...rows.map((row) => cell(row[name]).length)));
  const line = (cells: readonly string[]): string => cells.map((text, i) => text.padStart(widths[i] ?? 0)).join('  ');
  return [title, line(columns), ...rows.map((row) => line(columns.map((name) => cell(row[name]))))].join('\n');
}
