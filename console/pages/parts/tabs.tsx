/** Pages that belong together, side by side. */
export const Tabs = ({
  label,
  tabs,
  active,
}: {
  label: string;
  tabs: readonly { readonly name: string; readonly label: string; readonly href: string }[];
  active: string;
}) => (
  <nav class="tabs" aria-label={label}>
    <ul>
      {tabs.map(({ name, label: words, href }) => (
        <li>
          <a href={href} aria-current={name === active ? 'page' : undefined}>
            {words}
          </a>
        </li>
      ))}
    </ul>
  </nav>
);
