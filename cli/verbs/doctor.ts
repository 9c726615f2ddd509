import { isAppError } from '../../core/errors.ts';
import type { Finding } from '../../core/ports/finding.ts';
import { type Call, renderJson, type Verb } from '../verb.ts';

export const doctor: Verb = {
  name: 'doctor',
  about: 'Look at this installation and say what is wrong and what to do about it.',
  options: {},
  async run(call) {
    const findings = await examine(call);
    const ok = findings.every((finding) => finding.ok);
    if (call.json) call.terminal.out(renderJson({ ok, findings }));
    else {
      const width = Math.max(...findings.map(({ item }) => item.length));
      for (const finding of findings) {
        call.terminal.out(
          `${markOf(finding)} ${finding.item.padEnd(width)}  ${finding.says.replaceAll('\n', '\n    ')}\n`,
        );
      }
    }
    return ok ? 0 : 1;
  },
};

const markOf = ({ ok, warns }: Finding): string => (ok ? (warns ? '!' : '✓') : '✗');

const examine = async (call: Call): Promise<Finding[]> => {
  const findings: Finding[] = [{ item: 'Node', ok: true, says: process.version }];
  const add = (item: string, ok: boolean, says: string) => findings.push({ item, ok, says });
  try {
    const opened = await call.open();
    const { examineDeployment } = await import('../../checks.ts');
    findings.push(...(await examineDeployment(opened, call.terminal.signal)));
    add('Service', ...(await examineService(opened.config.HOST, opened.config.PORT, call.terminal.signal)));
  } catch (error) {
    if (!isAppError(error)) throw error;
    add(error.code === 'config' ? 'Configuration' : 'Stores', false, error.message);
  }
  return findings;
};

const examineService = async (
  host: string,
  port: number,
  signal: AbortSignal,
): Promise<readonly [ok: boolean, says: string]> => {
  const shown = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${shown}:${port}/readyz`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(2_000)]),
    });
    return answer.ok
      ? [true, `serving on port ${port}`]
      : [false, `something answers ${answer.status} on port ${port}: ${(await answer.text()).slice(0, 200)}`];
  } catch {
    return [true, `not running on port ${port}`];
  }
};
