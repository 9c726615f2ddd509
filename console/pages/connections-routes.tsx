import { z } from 'zod';
import type { Connection } from '../../core/domain.ts';
import { AppError, toAppError } from '../../core/errors.ts';
import type { CheckUpLine, Joining } from '../../core/ports/platform.ts';
import { checkUpOf } from '../check-up.ts';
import { texts } from '../texts.ts';
import {
  type ChatPlatform,
  ChoosePlatformPage,
  ConnectionPage,
  ConnectionsPage,
  chatPlatforms,
  connectionPath,
  connectionsPath,
  JoinPage,
} from './connections.tsx';
import type { PageRequest, Pages } from './pages.tsx';
import { emptyForm, type FormState } from './parts/form.tsx';

const words = texts.connections;
const platform = z.enum(['slack', 'discord', 'teams']);
const claimForm = z.object({ platform, code: z.string().max(200) });
const createForm = z.object({
  platform,
  workspaceId: z.string().max(200),
  botToken: z.string().max(8192).optional(),
  signingSecret: z.string().max(8192).optional(),
});

/** How long a platform may take to say what it can offer; the page comes without it then. */
const joiningWithinMs = 5_000;

/** The workspaces of a tenant: how they are, how one more joins, and how one leaves. */
export const addConnectionPages = (pages: Pages): void => {
  const { core, platforms, config, runtime } = pages.doors;

  const connectionOf = async (request: PageRequest): Promise<Connection> => {
    const connection = await core.connections.get(request.tenant.id, request.param('connection'));
    if (connection === null) throw new AppError('not-found', 'There is no such connection.');
    return connection;
  };
  const joiningOf = async (name: ChatPlatform, request: PageRequest): Promise<Joining> => {
    const found = platforms.find((one) => one.name === name);
    const signal = AbortSignal.any([request.c.req.raw.signal, AbortSignal.timeout(joiningWithinMs)]);
    return (await found?.joining?.(signal)) ?? {};
  };
  const joinPage = async (
    request: PageRequest,
    name: ChatPlatform,
    states: { claim?: FormState; create?: FormState },
  ) => (
    <JoinPage
      shell={await request.shell('connections')}
      platform={name}
      joining={await joiningOf(name, request)}
      claim={states.claim ?? emptyForm}
      create={states.create ?? emptyForm}
    />
  );
  /** A form shows itself again for the platform that it names; one that names none is no form of ours. */
  const platformIn = (state: FormState): ChatPlatform => {
    const named = platform.safeParse(state.values.platform?.[0]);
    return named.success ? named.data : 'slack';
  };

  pages.get('/console/{tenant}/connections', 'session:viewer', async (request) =>
    request.show(
      <ConnectionsPage
        shell={await request.shell('connections')}
        connections={await core.connections.list(request.tenant.id)}
        names={await pages.names(request.tenant)}
      />,
    ),
  );

  pages.get('/console/{tenant}/connections/new', 'session:admin', async (request) => {
    const wanted = request.query('platform');
    if (wanted === undefined) return request.show(<ChoosePlatformPage shell={await request.shell('connections')} />);
    const named = chatPlatforms.find((one) => one === wanted);
    if (named === undefined) throw new AppError('not-found', 'There is no such platform.');
    return request.show(await joinPage(request, named, {}));
  });

  /** The file that an administrator uploads to the platform; names no tenant and holds no secret. */
  pages.get('/console/{tenant}/connections/package/{platform}', 'session:admin', async (request) => {
    const named = chatPlatforms.find((one) => one === request.param('platform'));
    const file = named === undefined ? undefined : (await joiningOf(named, request)).file;
    if (file === undefined) return request.to(`${connectionsPath(request.tenant)}/new`);
    return new Response(new Uint8Array(file.bytes), {
      headers: {
        'content-type': file.mediaType,
        'content-disposition': `attachment; filename="${file.name}"`,
      },
    });
  });

  pages.post('/console/{tenant}/connections/claim', 'session:admin', async (request) =>
    request.submit(claimForm, {
      save: async ({ platform: named, code }) => {
        // A code is short enough to be worth guessing.
        await request.limit(`claim:${request.tenant.id}`, 10);
        const connection = await core.connections.claim(request.tenant.id, { platform: named, code });
        await request.audit('connection.create', connection.id);
        return request.to(connectionPath(request.tenant, connection), 'connected');
      },
      again: (state) => joinPage(request, platformIn(state), { claim: state }),
    }),
  );

  pages.post('/console/{tenant}/connections', 'session:admin', async (request) =>
    request.submit(createForm, {
      save: async ({ platform: named, workspaceId, botToken, signingSecret }) => {
        // Without proof of being inside the workspace, a tenant could take somebody else's.
        if (!request.isOperator)
          throw new AppError(
            'forbidden',
            'Give the one-time code that the bot shows inside the workspace; only the operator may connect one without it.',
          );
        if ((botToken === undefined) !== (signingSecret === undefined))
          throw new AppError('invalid', words.allOrNone, { at: botToken === undefined ? 'botToken' : 'signingSecret' });
        const credentials =
          botToken === undefined || signingSecret === undefined ? {} : { credentials: { botToken, signingSecret } };
        const input = { platform: named, workspaceId, ...credentials };
        const connection = await core.connections.create(request.tenant.id, input);
        await request.audit('connection.create', connection.id);
        return request.to(connectionPath(request.tenant, connection), 'connected');
      },
      again: (state) => joinPage(request, platformIn(state), { create: state }),
    }),
  );

  pages.get('/console/{tenant}/connections/{connection}', 'session:viewer', async (request) => {
    const connection = await connectionOf(request);
    let lines: readonly CheckUpLine[] | null;
    try {
      lines = await checkUpOf(platforms, connection, request.c.req.raw.signal);
    } catch (thrown) {
      // The page has more to say than the platform.
      runtime.log.warn('check-up-failed', { platform: connection.platform, code: toAppError(thrown).code });
      lines = null;
    }
    return request.show(
      <ConnectionPage
        shell={await request.shell('connections')}
        connection={connection}
        name={(await pages.names(request.tenant)).connection(connection)}
        lines={lines}
        publicUrl={config.publicUrl}
      />,
    );
  });

  pages.post('/console/{tenant}/connections/{connection}/delete', 'session:admin', async (request) => {
    const connection = await connectionOf(request);
    const asks = await request.unconfirmed('connections', {
      title: words.disconnectTitle(
        words.platforms[connection.platform],
        (await pages.names(request.tenant)).workspace(connection),
      ),
      consequences: words.disconnectConsequences,
      button: words.disconnectButton,
      back: connectionPath(request.tenant, connection),
    });
    if (asks !== null) return asks;
    await core.connections.remove(request.tenant.id, connection.id);
    await request.audit('connection.delete', connection.id);
    return request.to(connectionsPath(request.tenant), 'disconnected');
  });
};
