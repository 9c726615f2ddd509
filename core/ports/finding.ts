/** One thing that `footnote doctor` looked at, and in words what it found and what to do about it. */
export type Finding = {
  readonly item: string;
  /** False: it does not work, and the doctor's exit code is 1. */
  readonly ok: boolean;
  /** It works, and somebody should still do something about it. */
  readonly warns?: boolean;
  readonly says: string;
};
