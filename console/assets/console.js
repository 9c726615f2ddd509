// Times and numbers in the reader's own notation, menus that close, and the ask page's live part: it sends the question, shows the answer as it grows. All HTML comes finished and sanitised from the server.
(() => {
  const purses = new Map();
  // To the last digit that the server wrote: a bill is not rounded. Text goes in, so that no digit is lost on the way.
  const money = (currency, amount) => {
    const digits = Math.max(2, amount.split('.')[1]?.length ?? 0);
    const key = `${currency} ${digits}`;
    const [minimumFractionDigits, maximumFractionDigits] = [2, digits];
    if (!purses.has(key))
      purses.set(
        key,
        new Intl.NumberFormat(undefined, { style: 'currency', currency, minimumFractionDigits, maximumFractionDigits }),
      );
    return purses.get(key).format(amount);
  };
  const localise = (root) => {
    const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
    for (const time of root.querySelectorAll('time[datetime]'))
      time.textContent = format.format(new Date(time.dateTime));
    const figures = new Intl.NumberFormat();
    for (const data of root.querySelectorAll('data.number')) data.textContent = figures.format(Number(data.value));
    for (const data of root.querySelectorAll('data.money')) data.textContent = money(data.dataset.currency, data.value);
  };
  localise(document);
  // A form that came back: where something is wrong with it.
  document.querySelector('[aria-invalid="true"]')?.focus();
  document.addEventListener('htmx:after:swap', () => {
    localise(document);
    // What had the focus is gone: what came in its place takes it, once.
    const heir = document.querySelector('[data-takes-focus]');
    heir?.removeAttribute('data-takes-focus');
    if (document.activeElement === document.body) heir?.focus();
  });

  document.addEventListener('click', (event) => {
    for (const menu of document.querySelectorAll('details.menu[open]'))
      if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') for (const menu of document.querySelectorAll('details.menu[open]')) menu.open = false;
  });

  for (const button of document.querySelectorAll('[data-print]')) {
    button.hidden = false;
    button.addEventListener('click', () => print());
  }

  // A job's progress as it goes on; when it has ended the page shows what came of it.
  for (const place of document.querySelectorAll('[data-progress]')) {
    const events = new EventSource(place.dataset.progress);
    const show = (event) => {
      place.innerHTML = JSON.parse(event.data).html;
    };
    events.addEventListener('progress', show);
    events.addEventListener('done', (event) => {
      events.close();
      show(event);
      setTimeout(() => location.reload(), 600);
    });
  }

  // Files are dropped or chosen; the bar tells how much of them has left.
  for (const form of document.querySelectorAll('form[data-drop]')) {
    const [input, bar, button, result] = ['input[type=file]', 'progress', 'button', '[data-result]'].map((what) =>
      form.querySelector(what),
    );
    const send = (files) => {
      if (files.length === 0) return;
      if ([...files].reduce((sum, { size }) => sum + size, 0) > Number(form.dataset.maxBytes)) {
        result.textContent = form.dataset.tooMuch;
        return;
      }
      const body = new FormData();
      for (const file of files) body.append('files', file);
      const request = new XMLHttpRequest();
      request.open('POST', form.action);
      request.setRequestHeader('hx-request', 'true');
      request.upload.addEventListener('progress', ({ loaded, total }) => {
        bar.value = total > 0 ? (100 * loaded) / total : 0;
      });
      const end = (show) => {
        bar.hidden = true;
        button.disabled = false;
        show();
      };
      request.addEventListener('load', () =>
        end(() => {
          const isOurs = request.status === 200 || request.getResponseHeader('hx-reswap') !== null;
          if (isOurs) result.innerHTML = request.responseText;
          else result.textContent = form.dataset.failed;
          if (request.status !== 200) return;
          input.value = '';
          if (!result.querySelector('.why')) setTimeout(() => location.reload(), 900);
        }),
      );
      request.addEventListener('error', () =>
        end(() => {
          result.textContent = form.dataset.failed;
        }),
      );
      result.textContent = '';
      bar.value = 0;
      bar.hidden = false;
      button.disabled = true;
      request.send(body);
    };
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      send(input.files);
    });
    for (const name of ['dragenter', 'dragover'])
      form.addEventListener(name, (event) => {
        event.preventDefault();
        form.classList.add('over');
      });
    for (const name of ['dragleave', 'drop']) form.addEventListener(name, () => form.classList.remove('over'));
    form.addEventListener('drop', (event) => {
      event.preventDefault();
      send(event.dataTransfer.files);
    });
  }

  const page = document.querySelector('[data-ask]');
  if (!page) return;
  const form = page.querySelector('[data-question]');
  const box = form.elements.question;
  const turns = page.querySelector('[data-turns]');
  const announce = page.querySelector('[data-announce]');
  const submit = page.querySelector('[data-submit]');
  const stop = page.querySelector('[data-stop]');
  let running = null;

  const grow = () => {
    box.style.height = 'auto';
    box.style.height = `${box.scrollHeight}px`;
  };
  if (!CSS.supports('field-sizing', 'content')) box.addEventListener('input', grow);

  box.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!running) form.requestSubmit();
  });
  stop.addEventListener('click', () => running?.abort());

  const element = (tag, className, text) => {
    const node = document.createElement(tag);
    node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  const nearEnd = () => innerHeight + scrollY > document.documentElement.scrollHeight - 160;

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const question = box.value.trim();
    if (question === '' || running) return;
    const body = new URLSearchParams(new FormData(form));
    const turn = element('article', 'turn');
    const heading = element('h2', 'turn-question', question);
    const answer = element('div', 'turn-answer');
    answer.setAttribute('aria-busy', 'true');
    const working = element('p', 'working', page.dataset.working);
    const growing = element('div', 'prose answer');
    answer.append(working, growing);
    turn.append(heading, answer);
    turns.append(turn);
    page.classList.add('talking');
    page.querySelector('[data-fresh]').hidden = false;
    box.value = '';
    box.placeholder = box.dataset.followUp;
    running = new AbortController();
    submit.hidden = true;
    stop.hidden = false;
    announce.textContent = page.dataset.working;
    heading.scrollIntoView({ block: 'start' });

    const fail = (sentence, ...more) => {
      const note = element('p', 'notice error', sentence);
      note.setAttribute('role', 'alert');
      note.append(...more);
      answer.replaceChildren(note);
      if (box.value === '') box.value = question;
    };
    const show = {
      status: ({ text }) => {
        working.textContent = text;
      },
      answer: ({ html }) => {
        const follow = nearEnd();
        working.hidden = true;
        growing.innerHTML = html;
        if (follow) scrollTo({ top: document.documentElement.scrollHeight, behavior: 'instant' });
      },
      done: ({ html, conversationId }) => {
        answer.innerHTML = html;
        form.elements.conversationId.value = conversationId;
        announce.textContent = answer.querySelector('.answer')?.textContent ?? '';
        localise(answer);
        window.htmx?.process(answer);
      },
      failed: ({ text }) => fail(text),
      signedOut: () => {
        const way = element('a', '', page.dataset.signIn);
        Object.assign(way, { href: '/console/sign-in', target: '_blank', rel: 'noopener' });
        fail(page.dataset.signedOut, ' ', way);
      },
    };

    try {
      const ended = await follow(form.action, body, running.signal, show);
      if (!ended) fail(page.dataset.lost);
    } catch {
      fail(running.signal.aborted ? page.dataset.stopped : page.dataset.lost);
    } finally {
      answer.removeAttribute('aria-busy');
      running = null;
      submit.hidden = false;
      stop.hidden = true;
      box.focus({ preventScroll: true });
    }
  });

  // Reads an event stream from a POST, which EventSource cannot. True when the stream ended as it should.
  const follow = async (address, body, signal, show) => {
    const response = await fetch(address, { method: 'POST', body, signal, headers: { accept: 'text/event-stream' } });
    if (response.status === 401) {
      show.signedOut();
      return true;
    }
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      const problem = await response.json();
      show.failed({ text: problem.detail });
      return true;
    }
    let ended = false;
    let rest = '';
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return ended;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      for (const block of blocks) {
        const lines = block.split('\n');
        const name = lines.find((line) => line.startsWith('event: '))?.slice(7);
        const data = lines
          .filter((line) => line.startsWith('data: '))
          .map((line) => line.slice(6))
          .join('\n');
        if (!name || !Object.hasOwn(show, name)) continue;
        show[name](JSON.parse(data));
        ended ||= name === 'done' || name === 'failed';
      }
    }
  };
})();
