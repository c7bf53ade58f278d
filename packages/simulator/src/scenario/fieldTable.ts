import type { Field, Shape } from './fields.ts';
import { scenarioShape } from './scenario.ts';

/** Every field of a scenario as a table in Markdown: its place, bounds, default and meaning. README.md holds it. */
export function fieldTable(): string {
  const rows = rowsOf(scenarioShape, '');
  return ['| field | bounds | default | |', '|---|---|---|---|', ...new Set(rows)].join('\n');
}

function rowsOf(shape: Shape, path: string): string[] {
  return Object.entries(shape).flatMap(([name, field]) => rowsOfField(field, path === '' ? name : `${path}.${name}`));
}

function rowsOfField(field: Field, path: string): string[] {
  switch (field.kind) {
    case 'number': {
      const bounds = `${shown(field.minimum)} to ${shown(field.maximum)}${field.whole ? '' : ', fractions too'}`;
      return [row(path, bounds, shown(field.value), field.about)];
    }
    case 'text':
      return [row(path, `${field.longest} characters`, `"${field.value}"`, field.about)];
    case 'points':
      return [row(path, `[day, ${shown(field.minimum)} to ${shown(field.maximum)}], …`, '', 'straight between them')];
    case 'object':
      return rowsOf(field.shape, path);
    case 'list':
      return [row(path, `at most ${field.longest}`, 'none', ''), ...rowsOfField(field.of, `${path}[]`)];
    case 'union': {
      const names = Object.keys(field.shapes).map((name) => `"${name}"`);
      const all: Shape = Object.assign({}, ...Object.values(field.shapes)) as Shape;
      const rows = Object.entries(all).map(([name, inner]) => {
        const only = Object.keys(field.shapes).filter((shape) => Object.hasOwn(field.shapes[shape] ?? {}, name));
        const lines = rowsOfField(inner, `${path}.${name}`);
        return only.length === names.length
          ? lines
          : lines.map((line) => `${line.slice(0, -2)} (${only.join(', ')}) |`);
      });
      return [row(`${path}.${field.tag}`, names.join(', '), `"${field.first}"`, ''), ...rows.flat()];
    }
  }
}

function row(path: string, bounds: string, value: string, about: string): string {
  return `| \`${path}\` | ${bounds} | ${value} | ${about} |`;
}

function shown(value: number): string {
  return value >= 1e9 && value % 1e6 === 0 ? value.toExponential().replace('+', '') : String(value);
}
