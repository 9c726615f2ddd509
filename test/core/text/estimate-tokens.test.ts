import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { chunkDocument, defaultChunkLimits } from '../../../core/ingest/chunk.ts';
import { parseMarkdown } from '../../../core/ingest/parse/markdown.ts';
import { estimateTokens } from '../../../core/text/estimate-tokens.ts';
import { countTokens } from '../../../core/text/tokens.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const filesOf = (pattern: string): readonly string[] =>
  globSync(pattern, { cwd: root })
    .sort()
    .map((name) => readFileSync(`${root}/${name}`, 'utf8'));
/** The same bytes on every run, without any pattern. */
const noise = (length: number): Buffer =>
  Buffer.concat(Array.from({ length: length / 32 }, (_, n) => createHash('sha256').update(`noise ${n}`).digest()));
const rowsOf = (row: (n: number) => string): string => Array.from({ length: 60 }, (_, n) => row(n)).join('\n');

/** Several scripts and kinds of text, none of which the weights were fitted to. */
const texts: Readonly<Record<string, string>> = {
  'English prose': filesOf('demo/*.md').join('\n'),
  'technical Markdown': filesOf('docs/a*.md').join('\n'),
  'TypeScript code': filesOf('core/ingest/re*.ts').join('\n'),
  German:
    'Der Wasserkocher in der nördlichen Küche wird am ersten Montag jedes Monats entkalkt. Anträge auf Urlaub sind rechtzeitig bei der Personalabteilung einzureichen.',
  French:
    'La bouilloire de la cuisine nord est détartrée le premier lundi de chaque mois. Les demandes de congé doivent être déposées auprès du service du personnel.',
  Polish:
    'Czajnik w północnej kuchni jest odkamieniany w pierwszy poniedziałek każdego miesiąca. Wnioski urlopowe należy składać w dziale kadr.',
  Russian:
    'Чайник на северной кухне очищают от накипи в первый понедельник каждого месяца. Заявления на отпуск подаются в отдел кадров.',
  Greek:
    'Ο βραστήρας στη βόρεια κουζίνα καθαρίζεται την πρώτη Δευτέρα κάθε μήνα. Οι αιτήσεις άδειας υποβάλλονται στο τμήμα προσωπικού.',
  Arabic: 'يتم تنظيف الغلاية في المطبخ الشمالي في أول يوم اثنين من كل شهر. تقدم طلبات الإجازة إلى قسم شؤون الموظفين.',
  Hebrew: 'הקומקום במטבח הצפוני מנוקה ביום שני הראשון של כל חודש. בקשות לחופשה יש להגיש למחלקת משאבי אנוש.',
  Hindi: 'उत्तरी रसोई की केतली हर महीने के पहले सोमवार को साफ की जाती है। छुट्टी के आवेदन कार्मिक विभाग को दिए जाने चाहिए।',
  Chinese: '北边厨房的水壶每月第一个星期一除垢。请假申请须经主管批准后提交人力资源部，并抄送财务。',
  Japanese: '北側の台所のやかんは毎月第一月曜日に湯垢を取り除きます。休暇の申請は人事部に提出してください。',
  Korean: '북쪽 주방의 주전자는 매월 첫째 월요일에 물때를 제거합니다. 휴가 신청서는 인사부에 제출해 주십시오.',
  Thai: 'กาต้มน้ำในครัวด้านเหนือจะถูกล้างตะกรันในวันจันทร์แรกของทุกเดือน ส่งคำขอลาหยุดไปที่ฝ่ายบุคคล',
  base64: noise(2_400).toString('base64'),
  hexadecimal: noise(2_400).toString('hex'),
  'a table': rowsOf((n) => `| ${n} | item ${n * 37} | ${(n * 13.37).toFixed(2)} EUR | yes |`),
  'a log': rowsOf(
    (n) =>
      `2026-11-22T09:${10 + (n % 50)}:07.${100 + n}Z INFO [worker-${n % 4}] status=200 duration=${n * 3}ms path=/api/v1/items`,
  ),
};

describe('the estimate of tokens', () => {
  it.each(Object.entries(texts))('is within a third of the count for %s', (_name, text) => {
    for (let at = 0; at < text.length; at += 1_500) {
      const part = text.slice(at, at + 1_500).toWellFormed();
      // What is left over at the end of a long text is too short to be judged.
      if (at > 0 && part.length < 300) continue;
      const ratio = estimateTokens(part) / countTokens(part);
      expect([part, ratio > 0.72 && ratio < 1.4 ? 'near' : ratio]).toEqual([part, 'near']);
    }
  });

  it('is right on the average', () => {
    const ratios = Object.values(texts).map((text) => estimateTokens(text) / countTokens(text));
    const mean = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    expect(mean).toBeGreaterThan(0.93);
    expect(mean).toBeLessThan(1.1);
  });

  it('takes a part of a text by its offsets', () => {
    const text = texts['English prose'] ?? '';
    expect(estimateTokens(text, 100, 900)).toBe(estimateTokens(text.slice(100, 900)));
    expect(estimateTokens(text, 5, 5)).toBe(0);
  });

  it('takes time in proportion to the length, even without a single break', () => {
    // Of this thread alone, and the best of several: other work on the machine only ever adds.
    const timeOf = (text: string): number =>
      Math.min(
        ...Array.from({ length: 3 }, () => {
          const before = process.threadCpuUsage();
          estimateTokens(text);
          return process.threadCpuUsage(before).user;
        }),
      );
    for (const unit of ['a', '7', '語', '-', ' ', '\n', 'aB']) {
      const small = Math.max(timeOf(unit.repeat(50_000)), 1_000);
      // Ten times the text: linear is 10, quadratic would be 100.
      expect(timeOf(unit.repeat(500_000)) / small).toBeLessThan(50);
    }
  });

  it('keeps every passage of real documents near the bound by the real vocabulary', () => {
    const subject = { documentId: 'd', sourceId: 's', externalId: 'e', title: 't' };
    for (const text of [...filesOf('demo/*.md'), ...Object.values(texts)]) {
      for (const chunk of chunkDocument(parseMarkdown(text), subject))
        expect(countTokens(chunk.text)).toBeLessThan(defaultChunkLimits.max * 1.3);
    }
  });
});
