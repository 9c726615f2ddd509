import type { OutgoingActivity } from './connector/connector.ts';
import { adaptiveCard } from './messages.ts';

/** What Teams waits for on the line: invokes are answered in the turn itself, within seconds and from nothing but themselves. */
export type InvokeReply = { readonly status: number; readonly body: OutgoingActivity };

const reasons = ['It is wrong', 'It is out of date', 'Something is missing', 'Something else'];

/** The reply to an invoke. `heard`: it was an event of ours and is stored. */
export const replyToInvoke = (name: string | undefined, value: unknown, heard: boolean): InvokeReply => {
  switch (name) {
    case 'message/fetchTask':
      return { status: 200, body: dialog('Your feedback', feedbackForm(isDislike(value))) };
    case 'message/submitAction':
      // Anything but an empty object is an error to Teams.
      return { status: 200, body: {} };
    case 'adaptiveCard/action':
      return {
        status: 200,
        body: {
          statusCode: 200,
          type: 'application/vnd.microsoft.activity.message',
          value: heard ? 'Thank you.' : 'This button is no longer in use.',
        },
      };
    case 'composeExtension/fetchTask':
      return { status: 200, body: dialog('Ask about this message', askForm()) };
    case 'composeExtension/submitAction':
      return {
        status: 200,
        body: {
          task: { type: 'message', value: heard ? 'I answer in our private chat.' : 'I could not read that message.' },
        },
      };
    default:
      return { status: 501, body: {} };
  }
};

const isDislike = (value: unknown): boolean =>
  (value as { readonly actionValue?: { readonly reaction?: unknown } } | null)?.actionValue?.reaction === 'dislike';

const dialog = (title: string, card: OutgoingActivity): OutgoingActivity => ({
  task: {
    type: 'continue',
    value: {
      title,
      height: 'small',
      width: 'small',
      card: { contentType: 'application/vnd.microsoft.card.adaptive', content: card },
    },
  },
});

const submit = (title: string): OutgoingActivity => ({ type: 'Action.Submit', title });
const words = (id: string, label: string): OutgoingActivity => ({
  type: 'Input.Text',
  id,
  label,
  isMultiline: true,
  maxLength: 1500,
});

/** What was wrong is asked of whoever says that something was. */
const feedbackForm = (dislike: boolean): OutgoingActivity =>
  adaptiveCard(
    [
      ...(dislike
        ? [
            {
              type: 'Input.ChoiceSet',
              id: 'reason',
              style: 'expanded',
              label: 'What was wrong with the answer?',
              choices: reasons.map((reason) => ({ title: reason, value: reason })),
            },
          ]
        : []),
      words('feedbackText', dislike ? 'Tell us more, if you like' : 'What was good about it, if you like'),
    ],
    [submit('Send')],
  );

const askForm = (): OutgoingActivity =>
  adaptiveCard([words('question', 'Your question (empty: the message is the question)')], [submit('Ask')]);
