import type { Terminal } from './verb.ts';

/** One line on standard error that is redrawn at most ten times a second; silent unless that is a terminal. */
export const createProgress = (terminal: Terminal, now: () => number = Date.now) => {
  let drawnAt = Number.NEGATIVE_INFINITY;
  let isDrawn = false;
  return {
    show(text: string): void {
      if (!terminal.isTerminal || now() - drawnAt < 100) return;
      drawnAt = now();
      isDrawn = true;
      terminal.err(`\r\u001b[K${text.slice(0, terminal.columns - 1)}`);
    },
    clear(): void {
      if (isDrawn) terminal.err('\r\u001b[K');
      isDrawn = false;
    },
  };
};
