import { type ImportGraph, isImport } from './importGraph.ts';

/**
 * Files that import each other over any number of imports, types included: each circle once, as the files that it goes through, the first in
 * the alphabet first (Tarjan's strongly connected components).
 */
export function importCircles(graph: ImportGraph): readonly (readonly string[])[] {
  const circles: string[][] = [];
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): void => {
    order.set(file, order.size);
    let low = order.size - 1;
    stack.push(file);
    const imported = importedBy(graph, file);
    for (const next of imported) {
      if (!order.has(next)) visit(next);
      // Off the stack is what belongs to a component that is through.
      if (stack.includes(next)) low = Math.min(low, lowest.get(next) ?? order.get(next) ?? low);
    }
    lowest.set(file, low);
    if (low !== order.get(file)) return;
    const found = stack.splice(stack.indexOf(file));
    if (found.length > 1 || imported.includes(file)) circles.push(found.sort());
  };
  for (const file of graph.files.keys()) if (!order.has(file)) visit(file);
  return circles;
}

function importedBy(graph: ImportGraph, file: string): readonly string[] {
  const targets = (graph.files.get(file)?.imports ?? []).filter(isImport).flatMap(({ targets }) => targets);
  return targets.flatMap((target) => (target.kind === 'file' && graph.files.has(target.path) ? [target.path] : []));
}
