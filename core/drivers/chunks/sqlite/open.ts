export { openSqliteChunks } from './chunks.ts';
