import { describe, expect, it } from 'vitest';
import { logFieldsOf } from '../../../core/conversation/receipts.ts';
import { aReceipt } from '../../contracts/rows.ts';
import { createTestRuntime } from '../../fakes/clock.ts';

describe('the log line of an answer', () => {
  const receipt = aReceipt('t_1', { question: 'the question itself', answer: 'the answer itself' });

  it('holds no text of question, answer or passages', () => {
    const line = JSON.stringify(logFieldsOf(receipt, createTestRuntime()));
    for (const text of [receipt.question, receipt.answer, ...receipt.retrieved.map((passage) => passage.text)]) {
      expect(line).not.toContain(text);
    }
    expect(line).toContain(receipt.answerId);
  });

  it('holds question and answer where the operator switched them on', () => {
    const fields = logFieldsOf(receipt, { ...createTestRuntime(), logText: true });
    expect(fields).toMatchObject({ question: 'the question itself', answer: 'the answer itself' });
  });
});
