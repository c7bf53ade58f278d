/** A number of `minimum` to `maximum`; `whole`: without a fraction. */
export type NumberField = {
  readonly kind: 'number';
  readonly value: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly whole: boolean;
  readonly about: string;
};
export type TextField = {
  readonly kind: 'text';
  readonly value: string;
  readonly longest: number;
  readonly about: string;
};
export type ObjectField<S extends Shape = Shape> = { readonly kind: 'object'; readonly shape: S };
/** An object whose fields its `tag` decides. Without a value: the first of the shapes, all by default. */
export type UnionField<
  T extends string = string,
  S extends Readonly<Record<string, Shape>> = Readonly<Record<string, Shape>>,
> = {
  readonly kind: 'union';
  readonly tag: T;
  readonly shapes: S;
  readonly first: string;
};
export type ListField<F extends ObjectField | UnionField = ObjectField | UnionField> = {
  readonly kind: 'list';
  readonly of: F;
  readonly longest: number;
};
/** Pairs of [day, value], by day ascending. */
export type PointsField = { readonly kind: 'points'; readonly minimum: number; readonly maximum: number };
export type Field = NumberField | TextField | ObjectField | UnionField | ListField | PointsField;
export type Shape = { readonly [name: string]: Field };

export type ValueOf<F> = F extends NumberField
  ? number
  : F extends TextField
    ? string
    : F extends ObjectField<infer S>
      ? ObjectOf<S>
      : F extends UnionField<infer T, infer S>
        ? { [K in keyof S]: ObjectOf<S[K]> & { readonly [tag in T]: K } }[keyof S]
        : F extends ListField<infer E>
          ? readonly ValueOf<E>[]
          : F extends PointsField
            ? readonly (readonly [number, number])[]
            : never;
export type ObjectOf<S extends Shape> = { readonly [K in keyof S]: ValueOf<S[K]> };

/** A whole number, by default `value`. */
export function whole(value: number, minimum: number, maximum: number, about: string): NumberField {
  return { kind: 'number', value, minimum, maximum, whole: true, about };
}

/** A number that may have a fraction, by default `value`. */
export function decimal(value: number, minimum: number, maximum: number, about: string): NumberField {
  return { kind: 'number', value, minimum, maximum, whole: false, about };
}

/** Ten-thousandths. */
export function bps(value: number, maximum: number, about: string): NumberField {
  return whole(value, 0, maximum, about);
}

export function text(value: string, longest: number, about: string): TextField {
  return { kind: 'text', value, longest, about };
}

export function object<S extends Shape>(shape: S): ObjectField<S> {
  return { kind: 'object', shape };
}

export function union<T extends string, S extends Readonly<Record<string, Shape>>>(
  tag: T,
  shapes: S,
  first: keyof S & string,
): UnionField<T, S> {
  return { kind: 'union', tag, shapes, first };
}

export function list<F extends ObjectField | UnionField>(of: F, longest: number): ListField<F> {
  return { kind: 'list', of, longest };
}
