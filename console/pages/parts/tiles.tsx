import type { Child } from 'hono/jsx';

/** Few figures that matter most, side by side. */
export const Tiles = ({ children }: { children: Child }) => <dl class="tiles">{children}</dl>;

/** A figure above its name. */
export const Tile = ({ name, kind, children }: { name: Child; kind?: string; children: Child }) => (
  <div class={kind === undefined ? 'tile' : `tile of-${kind}`}>
    <dt>{name}</dt>
    <dd>{children}</dd>
  </div>
);
