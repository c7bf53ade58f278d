import { ComposeError } from './composeError.ts';

/** Takes a command apart as a shell does for plain words and quotes; nothing is substituted. */
export function splitWords(text: string, line: number): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? '';
    if (character === '\\' && quote !== "'") {
      index += 1;
      word = (word ?? '') + (text[index] ?? '');
    } else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + character;
  }
  if (quote !== '') throw new ComposeError('COMPOSE_MALFORMED', line, `a command has no closing ${quote}`);
  if (word !== undefined) words.push(word);
  return words;
}

/** "$$" is a dollar; a variable would be filled in by whoever deploys, and the file would no longer say what runs. */
export function withoutVariables(text: string, line: number): string {
  return text.replace(/\$(\$?)/g, (_, second: string) => {
    if (second === '$') return '$';
    throw new ComposeError(
      'COMPOSE_REFUSED',
      line,
      `"${text.slice(0, 80)}" has a variable`,
      'Write the value, or give it to the app (--env, --secret); write "$$" for a dollar',
    );
  });
}
