/** Where Microsoft's cloud of a deployment signs, issues tokens and takes answers. */
export type Cloud = {
  /** OpenID document that names the keys with which Teams signs what it posts. */
  readonly metadataUrl: string;
  /** The only `iss` of what it posts. */
  readonly issuer: string;
  /** Issues our tokens; a tenant's id or name follows. */
  readonly loginUrl: string;
  /** Tenant of a multi-tenant bot resource, whose tokens no directory of its own issues. */
  readonly loginTenant: string;
  /** What our tokens are for. */
  readonly audience: string;
  /** The only hosts that answers, and with them our tokens, are sent to. Names exactly: anybody may have a sub-domain. */
  readonly serviceHosts: readonly string[];
  /** Takes messages to people and channels that have not written to us since the start. */
  readonly serviceUrl: string;
  /** Microsoft Graph, without a slash at its end: what was written before the bot was called. */
  readonly graphUrl: string;
};

const commercial: Cloud = {
  metadataUrl: 'https://login.botframework.com/v1/.well-known/openidconfiguration',
  issuer: 'https://api.botframework.com',
  loginUrl: 'https://login.microsoftonline.com',
  loginTenant: 'botframework.com',
  audience: 'https://api.botframework.com',
  serviceHosts: [
    'smba.trafficmanager.net',
    'smba.onyx.prod.teams.trafficmanager.net',
    'smba.infra.gcc.teams.microsoft.com',
  ],
  serviceUrl: 'https://smba.trafficmanager.net/teams/',
  graphUrl: 'https://graph.microsoft.com',
};

const government: Cloud = {
  metadataUrl: 'https://login.botframework.azure.us/v1/.well-known/openidconfiguration',
  issuer: 'https://api.botframework.us',
  loginUrl: 'https://login.microsoftonline.us',
  loginTenant: 'MicrosoftServices.onmicrosoft.us',
  audience: 'https://api.botframework.us',
  serviceHosts: ['smba.infra.gov.teams.microsoft.us', 'smba.infra.dod.teams.microsoft.us'],
  serviceUrl: 'https://smba.infra.gov.teams.microsoft.us/teams/',
  graphUrl: 'https://graph.microsoft.us',
};

const china: Cloud = {
  metadataUrl: 'https://login.botframework.azure.cn/v1/.well-known/openidconfiguration',
  issuer: 'https://api.botframework.azure.cn',
  loginUrl: 'https://login.partner.microsoftonline.cn',
  loginTenant: 'microsoftservices.partner.onmschina.cn',
  audience: 'https://api.botframework.azure.cn',
  serviceHosts: ['frontend.botapi.msg.infra.teams.microsoftonline.cn'],
  serviceUrl: 'https://frontend.botapi.msg.infra.teams.microsoftonline.cn/teams/',
  graphUrl: 'https://microsoftgraph.chinacloudapi.cn',
};

/** The cloud whose keys lie at that address; an own key server stands in for the commercial one's. */
export const cloudOf = (metadataUrl: string | undefined): Cloud => {
  if (metadataUrl === undefined) return commercial;
  const host = URL.parse(metadataUrl)?.hostname;
  const known = [commercial, government, china].find((cloud) => new URL(cloud.metadataUrl).hostname === host);
  return { ...(known ?? commercial), metadataUrl };
};

/** This machine itself, by name or number. */
export const isLoopbackHost = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127(?:\.\d{1,3}){3}$/.test(hostname);

export const isLoopbackUrl = (url: string): boolean => {
  const parsed = URL.parse(url);
  return parsed !== null && isLoopbackHost(parsed.hostname);
};

/** Whether answers may be sent there at all. Loopback counts only where a deployment on this machine wants it so. */
export const isServiceUrl = (url: unknown, cloud: Cloud, loopback: boolean): url is string => {
  if (typeof url !== 'string' || url.length > 500) return false;
  const parsed = URL.parse(url);
  if (parsed === null || `${parsed.username}${parsed.password}${parsed.search}${parsed.hash}` !== '') return false;
  if (isLoopbackHost(parsed.hostname)) return loopback && (parsed.protocol === 'http:' || parsed.protocol === 'https:');
  return parsed.protocol === 'https:' && parsed.port === '' && cloud.serviceHosts.includes(parsed.hostname);
};
