import { encode } from 'uqr';
import type { AccountState, SessionSeen } from '../auth/accounts.ts';
import { texts } from '../texts.ts';
import { Layout, type Shell, Time } from './layout.tsx';
import { ActionButton, FormBox, type FormState, TextField } from './parts/form.tsx';
import { type MadeLink, MadeLinkNotice } from './parts/made-link.tsx';
import { Chip, Table } from './parts/table.tsx';

const words = texts.people.account;

export const accountPath = '/console/settings/account';
const factorPath = `${accountPath}/second-factor`;

export type AccountForms = Readonly<Record<'name' | 'email' | 'password' | 'factor', FormState>>;
/** How another e-mail address is confirmed: by a mail, by a link to copy, or by somebody else. */
export type EmailWay = 'mail' | 'link' | 'ask';

export const AccountPage = ({
  shell,
  account,
  sessions,
  forms,
  emailWay,
  made,
}: {
  shell: Shell;
  account: AccountState;
  sessions: readonly SessionSeen[];
  forms: AccountForms;
  emailWay: EmailWay;
  made?: MadeLink | undefined;
}) => (
  <Layout shell={shell} title={words.title}>
    <h1>{words.title}</h1>
    <p class="lead">{shell.person?.email}</p>
    {made !== undefined && <MadeLinkNotice made={made} />}
    <FormBox state={forms.name} action={accountPath} submit={words.saveName}>
      <TextField state={forms.name} name="name" label={words.name} required maxlength={100} autocomplete="name" />
    </FormBox>
    <section class="part">
      <h2>{texts.people.emailChange.title}</h2>
      <EmailForm state={forms.email} hasPassword={account.hasPassword} way={emailWay} />
    </section>
    <section class="part">
      <h2>{words.passwordTitle}</h2>
      {!account.hasPassword && <p class="lead">{words.noPassword}</p>}
      <PasswordForm state={forms.password} hasPassword={account.hasPassword} />
    </section>
    <section class="part">
      <h2>
        {words.factorTitle}{' '}
        <Chip {...(account.hasSecondFactor ? { tone: 'good' as const } : {})}>
          {account.hasSecondFactor ? words.factorOn : words.factorOff}
        </Chip>
      </h2>
      <FactorForm state={forms.factor} account={account} />
    </section>
    <section class="part">
      <h2>{words.sessionsTitle}</h2>
      <SessionTable sessions={sessions} />
    </section>
  </Layout>
);

const EmailForm = ({ state, hasPassword, way }: { state: FormState; hasPassword: boolean; way: EmailWay }) => {
  const change = texts.people.emailChange;
  if (way === 'ask') return <p class="lead">{change.ask}</p>;
  return (
    <FormBox state={state} action={`${accountPath}/email`} submit={change.submit}>
      <TextField
        state={state}
        name="email"
        label={change.next}
        type="email"
        hint={way === 'mail' ? change.hintMail : change.hintLink}
        required
        autocomplete="email"
      />
      {hasPassword && (
        <TextField
          state={state}
          name="confirmWith"
          label={words.current}
          type="password"
          required
          autocomplete="current-password"
        />
      )}
    </FormBox>
  );
};

const PasswordForm = ({ state, hasPassword }: { state: FormState; hasPassword: boolean }) => (
  <FormBox state={state} action={`${accountPath}/password`} submit={hasPassword ? words.change : words.set}>
    {hasPassword && (
      <TextField
        state={state}
        name="current"
        label={words.current}
        type="password"
        required
        autocomplete="current-password"
      />
    )}
    <TextField
      state={state}
      name="next"
      label={words.next}
      type="password"
      hint={`${texts.people.passwordHint} ${words.changeHint}`}
      required
      autocomplete="new-password"
    />
  </FormBox>
);

const FactorForm = ({ state, account }: { state: FormState; account: AccountState }) => {
  if (!account.hasPassword) return <p class="lead">{words.factorNeedsPassword}</p>;
  const field = (
    <TextField
      state={state}
      name="password"
      label={words.current}
      type="password"
      required
      autocomplete="current-password"
    />
  );
  return (
    <>
      <p class="lead">{account.hasSecondFactor ? words.factorOnText : words.factorText}</p>
      {account.hasSecondFactor ? (
        <FormBox
          state={state}
          action={`${factorPath}/change`}
          submit={words.factorNewCodes}
          other={{ name: 'off', label: words.factorEnd }}
        >
          {field}
        </FormBox>
      ) : (
        <FormBox state={state} action={`${factorPath}/begin`} submit={words.factorBegin}>
          {field}
        </FormBox>
      )}
    </>
  );
};

const SessionTable = ({ sessions }: { sessions: readonly SessionSeen[] }) => (
  <>
    <Table
      caption={words.sessionsTitle}
      rows={sessions}
      columns={[
        {
          head: words.device,
          cell: ({ device, isThis }) => (
            <>
              {device} {isThis && <Chip tone="good">{words.here}</Chip>}
            </>
          ),
        },
        { head: words.since, cell: ({ createdAt }) => <Time at={createdAt} /> },
        { head: words.seen, cell: ({ lastSeenAt }) => <Time at={lastSeenAt} /> },
        {
          head: words.end,
          cell: ({ id, isThis }) =>
            isThis ? null : (
              <ActionButton
                action={`${accountPath}/sessions/${encodeURIComponent(id)}/end`}
                label={words.end}
                kind="quiet"
              />
            ),
        },
      ]}
    />
    {sessions.length > 1 && <ActionButton action={`${accountPath}/sessions/end-others`} label={words.endOthers} />}
  </>
);

export const EnrolPage = ({ shell, uri, state }: { shell: Shell; uri: string; state: FormState }) => (
  <Layout shell={shell} title={words.enrolTitle}>
    <h1>{words.enrolTitle}</h1>
    <p class="lead">{words.enrolHint}</p>
    <div class="enrol">
      <div>
        <p>{words.enrolScan}</p>
        <QrCode text={uri} label={words.enrolQr} />
      </div>
      <div>
        <p>{words.enrolText}</p>
        <pre>
          <code>{new URL(uri).searchParams.get('secret')}</code>
        </pre>
        <pre>
          <code>{uri}</code>
        </pre>
      </div>
    </div>
    <FormBox state={state} action={`${factorPath}/confirm`} submit={words.enrolConfirm} cancel={accountPath}>
      <TextField
        state={state}
        name="code"
        label={words.enrolCode}
        required
        maxlength={10}
        inputmode="numeric"
        autocomplete="one-time-code"
      />
    </FormBox>
  </Layout>
);

export const BackupCodesPage = ({ shell, codes }: { shell: Shell; codes: readonly string[] }) => (
  <Layout shell={shell} title={words.codesTitle}>
    <h1>{words.codesTitle}</h1>
    <p class="lead">{words.codesText}</p>
    <ul class="codes">
      {codes.map((code) => (
        <li>{code}</li>
      ))}
    </ul>
    <p class="actions">
      <a class="button primary" href={accountPath}>
        {words.codesDone}
      </a>
    </p>
  </Layout>
);

/** One path for all dark squares, with the quiet zone that cameras need. */
const QrCode = ({ text, label }: { text: string; label: string }) => {
  const { data, size } = encode(text, { ecc: 'M', border: 4 });
  const path = data.map((row, y) => row.map((dark, x) => (dark ? `M${x} ${y}h1v1h-1z` : '')).join('')).join('');
  return (
    <svg class="qr" role="img" aria-label={label} viewBox={`0 0 ${size} ${size}`} shape-rendering="crispEdges">
      <path d={path} fill="#000" />
    </svg>
  );
};
