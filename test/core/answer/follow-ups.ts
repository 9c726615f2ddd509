/** Pairs over the sample documents, beside those of demo/questions.json: changes of subject and full questions among them. */
export const moreFollowUps: readonly {
  readonly after: string;
  readonly question: string;
  readonly document: string;
  readonly phrase: string;
}[] = [
  {
    after: 'How many days of annual leave do I get?',
    question: 'Until when must they be taken?',
    document: 'working-time-and-leave.md',
    phrase: 'must be taken by 30 June',
  },
  {
    after: 'How long is parental leave?',
    question: 'And for adoption?',
    document: 'working-time-and-leave.md',
    phrase: 'The same applies to adoption',
  },
  {
    after: 'What is the mileage rate when I use my own car?',
    question: 'And for my own bicycle?',
    document: 'travel-policy.md',
    phrase: 'it is 25 pence',
  },
  {
    after: 'What is the hotel limit in Paris?',
    question: 'And in London?',
    document: 'travel-policy.md',
    phrase: '£185',
  },
  {
    after: 'What is the hotel limit in Paris?',
    question: 'What about Berlin?',
    document: 'travel-policy.md',
    phrase: '€150',
  },
  {
    after: 'What is the conference budget?',
    question: 'Does speaking count against it?',
    document: 'travel-policy.md',
    phrase: 'not count against the budget',
  },
  {
    after: 'How much can the Stork carry?',
    question: 'And the Pelican?',
    document: 'product-faq.md',
    phrase: 'the Pelican 120 kg',
  },
  {
    after: 'How long does charging take with the standard charger?',
    question: 'And with the quick charger?',
    document: 'product-faq.md',
    phrase: '2 hours and 10',
  },
  {
    after: 'What is the price of a second battery?',
    question: 'And of a spare key?',
    document: 'price-list.md',
    phrase: '£18',
  },
  {
    after: 'How much does a yearly service cost for the Stork?',
    question: 'And for the Wren?',
    document: 'price-list.md',
    phrase: '£120 for the Wren',
  },
  {
    after: 'What is the hotel limit in Paris?',
    question: 'How long must a password be?',
    document: 'information-security.md',
    phrase: 'at least 16 characters',
  },
  {
    after: 'How long is parental leave?',
    question: 'Who is our travel insurance with?',
    document: 'travel-policy.md',
    phrase: 'Northgate Mutual',
  },
  {
    after: 'Who is our travel insurance with?',
    question: 'What is their emergency line?',
    document: 'travel-policy.md',
    phrase: '+44 117 496 0142',
  },
];
