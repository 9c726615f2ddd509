import { AppError } from '../../../errors.ts';
import type { Whereabouts } from './faults.ts';
import type { GrpcEndpoint } from './relay.ts';

/** Where Weaviate is and which versions of it will do. */
export type Endpoints = {
  readonly at: Whereabouts;
  readonly base: string;
  readonly http: { readonly host: string; readonly port: number; readonly secure: boolean; readonly path: string };
  readonly grpc: GrpcEndpoint;
};

const urlOf = (name: string, value: string): URL => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^(https?|grpcs?):$/.test(url.protocol) || url.hostname === '') {
    throw new AppError('config', `${name} must be an address such as http://weaviate:8080.`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new AppError('config', `${name} must not contain a user or a password. Put the key into WEAVIATE_API_KEY.`);
  }
  return url;
};

const isSecure = (url: URL): boolean => url.protocol === 'https:' || url.protocol === 'grpcs:';

export const parseEndpoints = (options: { readonly url: string; readonly grpcUrl?: string | undefined }): Endpoints => {
  const url = urlOf('WEAVIATE_URL', options.url);
  const grpcUrl = options.grpcUrl === undefined ? undefined : urlOf('WEAVIATE_GRPC_URL', options.grpcUrl);
  const secure = isSecure(url);
  const path = url.pathname.replace(/\/+$/, '');
  const http = { host: url.hostname, port: Number(url.port) || (secure ? 443 : 80), secure, path };
  const grpcSecure = grpcUrl === undefined ? secure : isSecure(grpcUrl);
  const grpc = {
    host: grpcUrl?.hostname ?? url.hostname,
    port: Number(grpcUrl?.port) || (grpcUrl !== undefined && grpcSecure ? 443 : 50_051),
    secure: grpcSecure,
  };
  return { at: { url: url.origin + path, grpc: `${grpc.host}:${grpc.port}` }, base: url.origin + path, http, grpc };
};

/** weaviate#8995: aliases are broken in 1.32.3 and 1.32.4; before 1.32 there are none. */
export const isSupported = (version: string): boolean => {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.+-]/).map(Number);
  if (major !== 1) return major > 1;
  if (minor !== 32) return minor > 32;
  return patch !== 3 && patch !== 4;
};
