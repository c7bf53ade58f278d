/** What waits, in turn for those whose it is: whoever has much of it waits longer for his last, and nobody else does. */
export class Turns<Item> {
  /** The one whose turn is next first. */
  readonly #of = new Map<string, Item[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(owner: string, item: Item): void {
    const items = this.#of.get(owner);
    if (items === undefined) this.#of.set(owner, [item]);
    else items.push(item);
    this.#size += 1;
  }

  /** The first of the next in turn that may be taken; his turn comes again after all others. */
  take(mayTake: (owner: string, item: Item) => boolean): Item | undefined {
    for (const [owner, items] of this.#of) {
      const [item] = items;
      if (item === undefined || !mayTake(owner, item)) continue;
      items.shift();
      this.#of.delete(owner);
      if (items.length > 0) this.#of.set(owner, items);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }
}

/** How many of something each one has. */
export class Counts {
  readonly #of = new Map<string, number>();

  of(name: string): number {
    return this.#of.get(name) ?? 0;
  }

  add(name: string, change: number): void {
    const count = this.of(name) + change;
    if (count > 0) this.#of.set(name, count);
    else this.#of.delete(name);
  }
}
