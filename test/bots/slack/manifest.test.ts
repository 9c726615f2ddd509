import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { slackEvents, slackManifest, slackScopes } from '../../../bots/slack/manifest.ts';
import { renderYaml } from '../../../cli/verbs/slack-manifest.ts';

const folder = join(import.meta.dirname, '../../../bots/slack');
const source = readdirSync(folder)
  .map((name) => readFileSync(join(folder, name), 'utf8'))
  .join('\n');

/** What each method needs, as Slack documents it; an empty list needs nothing. */
const needs: Readonly<Record<string, readonly string[]>> = {
  'assistant.threads.setStatus': ['chat:write'],
  'assistant.threads.setSuggestedPrompts': ['assistant:write'],
  'auth.test': [],
  'chat.appendStream': ['chat:write'],
  'chat.delete': ['chat:write'],
  'chat.getPermalink': [],
  'chat.postEphemeral': ['chat:write'],
  'chat.postMessage': ['chat:write'],
  'chat.startStream': ['chat:write'],
  'chat.stopStream': ['chat:write'],
  'chat.update': ['chat:write'],
  'conversations.history': ['channels:history', 'groups:history', 'im:history', 'mpim:history'],
  'conversations.info': ['channels:read', 'groups:read'],
  'conversations.open': ['im:write'],
  'conversations.replies': ['channels:history', 'groups:history', 'im:history', 'mpim:history'],
  'oauth.v2.access': [],
  'users.info': ['users:read', 'users:read.email'],
  'views.open': [],
};
/** What each event, command and file needs. */
const hears: Readonly<Record<string, readonly string[]>> = {
  app_home_opened: [],
  app_mention: ['app_mentions:read'],
  app_uninstalled: [],
  member_joined_channel: ['channels:read', 'groups:read'],
  'message.channels': ['channels:history'],
  'message.groups': ['groups:history'],
  'message.im': ['im:history'],
  'message.mpim': ['mpim:history'],
  tokens_revoked: [],
};

describe("the Slack app's manifest", () => {
  it('every method that the code calls is known here, and no other', () => {
    const called = new Set(
      [
        ...source.matchAll(
          /['`/}]((?:auth|assistant|chat|conversations|oauth|users|views|files|reactions)\.[a-zA-Z0-9.]+)['`]/g,
        ),
      ]
        .map(([, method = '']) => method)
        // Hosts and modules look alike.
        .filter((method) => !/\.(?:ts|com)$/.test(method)),
    );
    expect([...called].sort()).toEqual(Object.keys(needs).sort());
  });

  it('asks for what these need, and for nothing more', () => {
    const needed = new Set([...Object.values(needs).flat(), ...Object.values(hears).flat(), 'commands', 'files:read']);
    const manifest = slackManifest({ publicUrl: 'https://footnote.example.com' }) as {
      readonly oauth_config: { readonly scopes: { readonly bot: readonly string[] } };
    };
    expect(manifest.oauth_config.scopes.bot).toEqual([...needed].sort());
    expect(Object.keys(slackScopes).sort()).toEqual([...needed].sort());
    expect([...slackEvents].sort()).toEqual(Object.keys(hears).sort());
  });

  it('registers its addresses, and none for Socket Mode', () => {
    const http = JSON.stringify(slackManifest({ publicUrl: 'https://footnote.example.com' }));
    expect(http.match(/https:\/\/footnote\.example\.com\/slack\/events"/g)).toHaveLength(4);
    expect(http).toContain('https://footnote.example.com/slack/oauth_redirect');
    expect(http).toContain('"socket_mode_enabled":false');
    const own = JSON.stringify(slackManifest({ publicUrl: 'https://footnote.example.com', connectionId: 'x_1' }));
    expect(own.match(/\/slack\/events\/x_1"/g)).toHaveLength(4);
    const socket = JSON.stringify(slackManifest({ publicUrl: '', socket: true }));
    expect(socket).toContain('"socket_mode_enabled":true');
    expect(socket).not.toMatch(/"(?:request_)?url"|redirect_urls/);
  });

  it('the lengths that Slack allows are kept', () => {
    const manifest = slackManifest({ publicUrl: 'https://footnote.example.com' }) as unknown as {
      readonly display_information: { readonly name: string; readonly description: string };
      readonly features: {
        readonly agent_view: { readonly agent_description: string; readonly suggested_prompts: readonly unknown[] };
        readonly shortcuts: readonly { readonly name: string; readonly description: string }[];
      };
    };
    expect(manifest.display_information.name.length).toBeLessThanOrEqual(35);
    expect(manifest.display_information.description.length).toBeLessThanOrEqual(140);
    expect(manifest.features.agent_view.agent_description.length).toBeLessThanOrEqual(300);
    expect(manifest.features.agent_view.suggested_prompts.length).toBeLessThanOrEqual(4);
    for (const { name, description } of manifest.features.shortcuts) {
      expect(name.length).toBeLessThanOrEqual(24);
      expect(description.length).toBeLessThanOrEqual(150);
    }
  });

  it('as YAML it is the same', () => {
    const yaml = renderYaml({ a: { b: ['x: y', true], c: [{ d: 1, e: { f: null } }] }, g: 'h' });
    const manifest = slackManifest({ publicUrl: 'https://footnote.example.com' });
    expect(parse(renderYaml(manifest))).toEqual(JSON.parse(JSON.stringify(manifest)));
    expect(yaml).toBe('a:\n  b:\n    - "x: y"\n    - true\n  c:\n    - d: 1\n      e:\n        f: null\ng: "h"\n');
  });
});
