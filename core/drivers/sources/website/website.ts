import { z } from 'zod';
import type { Clock } from '../../../ports/runtime.ts';
import type { SourceDriver } from '../../../ports/source.ts';
import type { GuardedFetch } from '../../../security/guarded-fetch.ts';
import { crawl } from './crawl.ts';
import { createPace } from './pace.ts';
import { createPoliteFetch } from './polite-fetch.ts';

const patterns = z.array(z.string().min(1).max(500)).max(100).optional();

const settings = z.strictObject({
  url: z
    .url({
      protocol: /^https?$/,
      error: 'This is not a complete web address; it must begin with https:// or http://.',
    })
    .max(900)
    .refine((address) => {
      const url = URL.parse(address);
      return url !== null && url.username === '' && url.password === '';
    }, 'The address must not carry a user name or password.')
    .meta({
      title: 'Address',
      description: 'Where the site begins, such as https://docs.example.com/. Only pages of the same site are read.',
    }),
  include: patterns.meta({
    title: 'Only these pages',
    description: 'Patterns over the path, such as /docs/**, one a line. Empty: the whole site.',
  }),
  exclude: patterns.meta({
    title: 'Not these pages',
    description: 'Patterns over the path, such as /blog/** or /**/archive/**, one a line.',
  }),
  maxPages: z.int().min(1).max(100_000).default(10_000).meta({
    title: 'Pages at most',
  }),
  maxDepth: z.int().min(0).max(100).optional().meta({
    title: 'Links to follow at most',
    description: 'How many links away from the first page, or from a page of the sitemap. Empty: as many as it takes.',
  }),
  requestsPerSecond: z.number().min(0.01).max(50).default(10).meta({
    title: 'Requests a second at most',
    description: 'Fewer when robots.txt of the site asks for it.',
  }),
  sitemapOnly: z.boolean().optional().meta({
    title: 'Only what the sitemap lists',
    description: 'Otherwise links are followed as well, for sitemaps are seldom complete.',
  }),
});

export type WebsiteSettings = z.output<typeof settings>;

export type WebsiteParts = {
  /** Judges every address; see FETCH_ALLOW. */
  readonly fetch: GuardedFetch;
  readonly clock: Clock;
};

/** Pages of a public site, found by its sitemap and by links, as robots.txt allows. */
export const createWebsiteSource = ({ fetch, clock }: WebsiteParts): SourceDriver => {
  const pace = createPace(clock);
  const fetchPolitely = createPoliteFetch({ fetch, pace, clock });
  return {
    kind: 'website',
    label: 'Website',
    settings,
    open: async (given) => {
      const parsed = settings.parse(given);
      return { changes: (options) => crawl({ settings: parsed, fetchPolitely, clock }, options) };
    },
  };
};
