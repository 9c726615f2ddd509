# syntax=docker/dockerfile:1

# Footnote in one image: no native add-on, no dev dependency, nothing to write but DATA_DIR.
#   docker build -t footnote .
#   docker run --read-only --tmpfs /tmp -v footnote:/data -p 3000:3000 -e PUBLIC_URL=https://… footnote

ARG NODE_VERSION=24.21.0

# ── compile ──────────────────────────────────────────────────────────────────────────────────────────────────────────
FROM node:${NODE_VERSION}-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Install scripts stay off: only the pinned `node` package has one that matters, and this image brings its own.
RUN npm ci --ignore-scripts
COPY . .
# The pinned `node` package was not unpacked, so the compiler is called by its path and not through npm.
RUN node node_modules/typescript/bin/tsc -p tsconfig.build.json \
 && find dist -name '*.map' -delete -o -name '.tsbuildinfo' -delete

# ── what runs ────────────────────────────────────────────────────────────────────────────────────────────────────────
FROM node:${NODE_VERSION}-slim AS production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Without optional peers: better-auth names vitest as one, and vitest brings a bundler. Source maps are a third of the bytes.
RUN npm ci --omit=dev --omit=optional --ignore-scripts \
 && npm cache clean --force \
 && find node_modules -name '*.map' -type f -delete

FROM node:${NODE_VERSION}-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/data
WORKDIR /app
COPY --from=production /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY bin bin
COPY demo demo
# Style sheet, script and mark are served from beside the pages' sources.
COPY console/assets console/assets
COPY package.json LICENSE ./
# A fresh named volume takes over owner and mode of the folder it is mounted on.
RUN mkdir /data && chown node:node /data && chmod 700 /data
USER node
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`, { signal: AbortSignal.timeout(4000) }).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node is process 1 and handles SIGTERM itself (drain); it starts no child that a reaper would be needed for.
CMD ["node", "--max-semi-space-size=4", "bin/footnote.js", "serve"]
