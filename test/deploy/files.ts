import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse as parseToml } from 'smol-toml';
import { parseAllDocuments } from 'yaml';
import { environment } from '../../core/config.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

export const readText = (path: string): string => readFileSync(`${root}${path}`, 'utf8');

/** Every file under a folder, by its path from the root of the project. */
export const filesUnder = (folder: string): readonly string[] =>
  readdirSync(`${root}${folder}`, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath.slice(root.length)}/${entry.name}`.replaceAll('//', '/'))
    // Made on the machine that it runs on, and never committed.
    .filter((path) => !path.startsWith('deploy/compose/secrets/') && path !== 'deploy/compose/footnote.env')
    .sort();

/** A document of YAML, JSON or TOML that a test walks through; a wrong turn ends in undefined. */
export type Node = { readonly [key: string]: Node } & { readonly [index: number]: Node };

/** Fails on anything that YAML itself objects to, such as a key that stands twice. */
export const readYaml = (path: string): readonly Node[] =>
  parseAllDocuments(readText(path), { merge: true, uniqueKeys: true }).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${path}: ${problem.message}`);
    return document.toJS() as Node;
  });

export const readToml = (path: string): Node => parseToml(readText(path)) as unknown as Node;

export const listOf = (node: Node | undefined): readonly Node[] =>
  Array.isArray(node) ? (node as readonly Node[]) : [];
export const entriesOf = (node: Node | undefined): readonly (readonly [string, Node])[] =>
  node === undefined || node === null ? [] : Object.entries(node);
export const textOf = (node: Node | undefined): string => (node === undefined || node === null ? '' : String(node));

/** Whether the program reads a variable of this name, by itself or from a file. */
export const isVariable = (name: string): boolean => Object.hasOwn(environment, name.replace(/_FILE$/, ''));
