import { renderJson, type Verb } from '../verb.ts';

export const signIn: Verb = {
  name: 'sign-in',
  about: 'Print a new one-time sign-in link for the owner, for instance after the first one ran out.',
  options: {},
  async run(call) {
    const { signInUrl } = await call.open();
    const url = await signInUrl();
    call.terminal.out(call.json ? renderJson({ url }) : `${url}\n`);
    return 0;
  },
};
