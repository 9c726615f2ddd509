/** One thing that `footnote doctor` looked at, and in words what it found and what to do about it. */
export type Finding = { readonly item: string; readonly ok: boolean; readonly says: string };
