/** One line of CSV (RFC 4180), with its end. */
export const csvLine = (cells: readonly (string | number | boolean)[]): string =>
  `${cells.map((cell) => csvCell(String(cell))).join(',')}\r\n`;

/** Quoted where needed; a text that a spreadsheet would take for a formula is disarmed. */
const csvCell = (text: string): string => {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};
