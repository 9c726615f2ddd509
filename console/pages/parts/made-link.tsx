/** A link that was just made; the only time that it is shown. */
export type MadeLink = { readonly text: string; readonly url?: string };

export const MadeLinkNotice = ({ made: { text, url } }: { made: MadeLink }) => (
  <div class="notice note secret" role="status">
    <p>{text}</p>
    {url !== undefined && (
      <pre>
        <code>{url}</code>
      </pre>
    )}
  </div>
);
