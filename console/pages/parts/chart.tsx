import { texts } from '../../texts.ts';

export type Bar = {
  /** Below the bar, e.g. a day. */
  readonly label: string;
  readonly value: number;
  /** What the bar says when it is pointed at or read aloud. */
  readonly title: string;
};

const width = 720;
const height = 200;
const floor = height - 28;

/** Bars over a zero line, drawn by the server. The figures stand in the table beside it; this shows their shape. */
export const BarChart = ({
  title,
  bars,
  format,
}: {
  title: string;
  bars: readonly Bar[];
  format(value: number): string;
}) => {
  const top = niceTop(Math.max(0, ...bars.map(({ value }) => value)));
  // Half of an odd number of questions is none.
  const parts = Number.isInteger(top) && top % 2 === 1 ? [0, 1] : [0, 0.5, 1];
  const marks = parts.map((part) => ({ y: top * part, text: format(top * part) }));
  // As wide as the longest figure beside it, in the larger letters of a phone too.
  const left = 16 + 9 * Math.max(...marks.map(({ text }) => text.length));
  const step = (width - left) / Math.max(1, bars.length);
  const y = (value: number): number => floor - (value / top) * (floor - 12);
  const everyLabel = Math.max(1, Math.ceil(bars.length / 8));
  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      {bars.length === 0 ? (
        <p class="muted">{texts.lists.nothing}</p>
      ) : (
        <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={title}>
          {marks.map((mark) => (
            <>
              <line class="grid" x1={left} x2={width} y1={y(mark.y)} y2={y(mark.y)} />
              <text class="axis" x={left - 6} y={y(mark.y) + 4} text-anchor="end">
                {mark.text}
              </text>
            </>
          ))}
          {bars.map(({ label, value, title: about }, index) => (
            <g>
              <rect
                class="bar"
                x={round(left + index * step + step * 0.15)}
                y={round(y(value))}
                width={round(step * 0.7)}
                height={round(Math.max(value > 0 ? 1 : 0, floor - y(value)))}
                rx={2}
              >
                <title>{about}</title>
              </rect>
              {index % everyLabel === 0 && (
                <text
                  class="axis"
                  x={index === bars.length - 1 ? width : round(left + (index + 0.5) * step)}
                  y={height - 5}
                  text-anchor={index === bars.length - 1 ? 'end' : 'middle'}
                >
                  {label}
                </text>
              )}
            </g>
          ))}
        </svg>
      )}
    </figure>
  );
};

const round = (value: number): number => Math.round(value * 100) / 100;

/** 1, 2 or 5 times a power of ten, not below the value. */
export const niceTop = (value: number): number => {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
};
