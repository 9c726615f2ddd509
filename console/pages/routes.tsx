import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Assets } from '../assets.ts';
import type { Doors, Env } from '../guard.ts';
import type { DeclaredRoute } from '../policy.ts';
import { addAccountPages } from './account-routes.tsx';
import { addAnswerPages } from './answers-routes.tsx';
import { addAskPages } from './ask-routes.tsx';
import { addAuditPages } from './audit-routes.tsx';
import { addConnectionPages } from './connections-routes.tsx';
import { addInvitationPages } from './invitation-routes.tsx';
import { addKeyPages } from './keys-routes.tsx';
import { addMemberPages } from './members-routes.tsx';
import { createPages } from './pages.tsx';
import { addQuotaPages } from './quotas-routes.tsx';
import { addResetPages } from './reset-routes.tsx';
import { addSettingsPages } from './settings-routes.tsx';
import { addLinkPages, addSignInPages } from './sign-in-routes.tsx';
import { addSourcePages } from './sources-routes.tsx';
import { addUsagePages } from './usage-routes.tsx';

/** Registers the pages, group by group. */
export const addPages = (app: OpenAPIHono<Env>, doors: Doors, assets: Assets, declared: DeclaredRoute[]): void => {
  const pages = createPages(app, doors, assets, declared);
  addSignInPages(pages);
  addResetPages(pages);
  addLinkPages(pages);
  addInvitationPages(pages);
  addAccountPages(pages);
  addAskPages(pages);
  addAnswerPages(pages);
  addSourcePages(pages);
  addConnectionPages(pages);
  addUsagePages(pages);
  addQuotaPages(pages);
  addMemberPages(pages);
  addSettingsPages(pages);
  addKeyPages(pages);
  addAuditPages(pages);
};
