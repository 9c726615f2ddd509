import pino, { type DestinationStream, type Logger } from 'pino';
import type { Log, LogFields } from '../ports/runtime.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/**
 * JSON lines on standard output (or `destination`). Callers hand in allow-listed fields only; redaction by pattern is
 * not relied on, because pino's wildcards reach one level deep.
 */
export const createLog = (options: { readonly level: LogLevel; readonly destination?: DestinationStream }): Log => {
  const base = {
    level: options.level,
    base: { service: 'footnote' },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    messageKey: 'event',
  };
  return wrap(options.destination === undefined ? pino(base) : pino(base, options.destination));
};

const wrap = (logger: Logger): Log => {
  const at = (level: 'debug' | 'info' | 'warn' | 'error') => (event: string, fields?: LogFields) =>
    logger[level](fields ?? {}, event);
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => wrap(logger.child(fields)),
  };
};
