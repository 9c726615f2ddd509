import { readFileSync, statfsSync } from 'node:fs';
import { platform } from 'node:os';
import { AppError } from '../../../errors.ts';

/** Kind of the file system under a folder, e.g. `ext2/3/4`, `nfs`, `fuse.sshfs`; empty when it is not known. */
export type FileSystemOf = (folder: string) => string;

/** Magic numbers of Linux, statfs(2). What is not listed is taken for local. */
const magic: Readonly<Record<number, string>> = {
  26985: 'nfs',
  20859: 'smb',
  4283649346: 'cifs',
  4266872130: 'smb2',
  16914839: '9p',
  1397113167: 'afs',
  1799439955: 'afs',
  1937076805: 'coda',
  12805120: 'ceph',
  22092: 'ncp',
  1952539503: 'ocfs2',
  18225520: 'gfs2',
  198183888: 'lustre',
  1196443219: 'gpfs',
  428016422: 'beegfs',
  2020557398: 'vboxsf',
  1702057286: 'fuse',
};

const refused = /^(nfs|smb|cifs|9p|afs|coda|ceph|ncp|ocfs2|gfs2|lustre|gpfs|beegfs|vboxsf|unc)/;

/** FUSE is a local disk as often as not; these are known to be somebody else's. */
const refusedFuse =
  /^fuse\.(sshfs|s3fs|s3ql|gcsfuse|goofys|rclone|glusterfs|davfs|curlftpfs|ceph|moosefs|juicefs|seaweedfs|smbnetfs|nfs|blobfuse|.*cloud)/;

/**
 * SQLite's log lives in memory shared by the processes of one machine; over a network it loses data without a word
 * (https://www.sqlite.org/wal.html#noshm). Throws AppError `config`.
 */
export const refuseNetworkFileSystem = (folder: string, fileSystemOf: FileSystemOf = detect): void => {
  const kind = fileSystemOf(folder);
  if (!refused.test(kind) && !refusedFuse.test(kind)) return;
  throw new AppError(
    'config',
    `DATA_DIR is on a network file system (${kind}), where the embedded store would lose data. Use a local disk, or MongoDB and Weaviate for several machines.`,
  );
};

const detect: FileSystemOf = (folder) => {
  if (platform() === 'win32') return /^[\\/]{2}/.test(folder) ? 'unc' : '';
  if (platform() !== 'linux') return '';
  const kind = magic[statfsSync(folder).type >>> 0] ?? '';
  return kind === 'fuse' ? mountedAs(folder) : kind;
};

/** The name that the mount table gives, which tells one FUSE file system from another. */
const mountedAs = (folder: string): string => {
  try {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .map((fields) => ({ at: fields[4] ?? '', kind: fields[fields.indexOf('-') + 1] ?? '' }))
      .filter(({ at }) => at === '/' || folder === at || folder.startsWith(`${at}/`))
      .sort((a, b) => b.at.length - a.at.length);
    return mounts[0]?.kind ?? '';
  } catch {
    return '';
  }
};
